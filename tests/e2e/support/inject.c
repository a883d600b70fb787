/* Lets a frozen program run a line of Python of ours (in UPHAUL_TEST_CODE): it takes no -m and no PYTHONPATH.
 *
 * LD_PRELOADed, it waits in a thread of its own until the program's Python is ready. Only tests use it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *wait_and_run(void *unused) {
    int (*ready)(void), (*ensure)(void), (*run)(const char *, void *);
    void (*release)(int);
    (void)unused;
    for (;;) {
        usleep(20000);
        ready = (int (*)(void))dlsym(RTLD_DEFAULT, "Py_IsInitialized");
        ensure = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
        release = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
        run = (int (*)(const char *, void *))dlsym(RTLD_DEFAULT, "PyRun_SimpleStringFlags");
        if (ready && ensure && release && run && ready()) {
            int state = ensure();
            run(getenv("UPHAUL_TEST_CODE"), NULL); /* takes the variable away once it could do its work */
            release(state);
            if (!getenv("UPHAUL_TEST_CODE"))
                return NULL;
        }
    }
}

__attribute__((constructor)) static void begin(void) {
    pthread_t thread;
    if (getenv("UPHAUL_TEST_CODE") && pthread_create(&thread, NULL, wait_and_run, NULL) == 0)
        pthread_detach(thread);
}
