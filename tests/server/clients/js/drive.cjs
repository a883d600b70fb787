// One act of tus-js-client: told as JSON on standard input, answered as JSON on standard output.
// {do: "upload" | "terminate", url, token, path, metadata, store, chunk, stopAt, terminates, duringCreation}

const fs = require('node:fs')
const tus = require('tus-js-client')

const told = JSON.parse(fs.readFileSync(0, 'utf8'))
const headers = { Authorization: `Bearer ${told.token}` }
const requests = []

function answer(value) {
  process.stdout.write(JSON.stringify({ requests, ...value }))
}

function fail(error) {
  answer({ status: error.originalResponse ? error.originalResponse.getStatus() : null, error: String(error) })
}

async function upload() {
  const one = new tus.Upload(fs.createReadStream(told.path), {
    endpoint: told.url,
    headers,
    metadata: told.metadata,
    chunkSize: told.chunk ?? Number.POSITIVE_INFINITY,
    uploadDataDuringCreation: told.duringCreation ?? false,
    ...(told.store && { urlStorage: new tus.FileUrlStorage(told.store) }),
    retryDelays: null,
    onBeforeRequest: (request) => requests.push(request.getMethod()),
    onProgress: (sent) => {
      if (told.stopAt != null && sent >= told.stopAt && !stopping) stop()
    },
    onSuccess: () => answer({ location: one.url }),
    onError: (error) => {
      if (!stopping) fail(error)
    },
  })
  let stopping = false
  async function stop() {
    stopping = true
    await one.abort(told.terminates ?? false)
    answer({ location: one.url })
  }
  if (told.store) {
    const [earlier] = await one.findPreviousUploads()
    if (earlier) one.resumeFromPreviousUpload(earlier)
  }
  one.start()
}

if (told.do === 'terminate') {
  tus.Upload.terminate(told.url, { headers, retryDelays: null }).then(() => answer({ location: told.url }), fail)
} else {
  upload()
}
