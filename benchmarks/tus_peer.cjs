// @tus/server with @tus/file-store, as its own documentation sets it up. The packages are found by NODE_PATH.
// node tus_peer.cjs FOLDER: the first line on standard output is where it listens.
const { Server } = require("@tus/server");
const { FileStore } = require("@tus/file-store");

const tus = new Server({ path: "/files", datastore: new FileStore({ directory: process.argv[2] }) });
const listener = tus.listen({ host: "127.0.0.1", port: 0 }, () =>
  console.log(`http://127.0.0.1:${listener.address().port}`),
);
