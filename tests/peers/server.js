// A forward server of another making (npm's @fluent-org/logger) that prints each record as a line of
// JSON, and its port as the first. Its options come as JSON in the first argument; the names of files
// in `tls` stand for what is in them.
"use strict";
const fs = require("fs");
const {FluentServer} = require("@fluent-org/logger");

const options = JSON.parse(process.argv[2]);
for (const [key, file] of Object.entries(options.tlsFiles || {})) {
    options.tlsOptions = {...options.tlsOptions, [key]: fs.readFileSync(file)};
}
const server = new FluentServer(options);
server.on("entry", (tag, time, record) => {
    process.stdout.write(JSON.stringify({tag, time: [time.epoch, time.nano], record}) + "\n");
});
server.listen().then(() => process.stdout.write(JSON.stringify({port: server.port}) + "\n"));
