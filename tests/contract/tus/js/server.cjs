// @tus/server with @tus/file-store: `node server.cjs '{"directory": …, "port": 0, "token": …, "extensions": [...], "options": {…}}'`.
// The first line on standard output is where it listens. The packages are found by NODE_PATH.

const { Server } = require('@tus/server')
const { FileStore } = require('@tus/file-store')

const told = JSON.parse(process.argv[2])
const datastore = new FileStore({ directory: told.directory })
if (told.extensions) datastore.extensions = told.extensions

async function onIncomingRequest(request) {
  if (request.headers.get('authorization') !== `Bearer ${told.token}`) throw { status_code: 401, body: 'Who are you?' }
}

const tus = new Server({ path: '/files', datastore, onIncomingRequest, ...told.options })
const listener = tus.listen({ host: '127.0.0.1', port: told.port }, () =>
  console.log(`http://127.0.0.1:${listener.address().port}/files`),
)
