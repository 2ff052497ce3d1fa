// A forward client of another making (npm's @fluent-org/logger): sends `count` records of the form
// {log: "<name> <number>", ...} and ends when all are through, with 0; with 1 and the reason when
// they are not. Its options come as JSON in the first argument; the names of files in `tls` stand
// for what is in them.
"use strict";
const fs = require("fs");
const {EventTime, FluentClient} = require("@fluent-org/logger");

const {name, count, tlsFiles, ...options} = JSON.parse(process.argv[2]);
for (const [key, file] of Object.entries(tlsFiles || {})) {
    options.socket.tls = {...options.socket.tls, [key]: fs.readFileSync(file)};
}

function fail(error) {
    process.stderr.write(`${error}\n`);
    process.exit(1);
}

async function main() {
    const client = new FluentClient("peer", {...options, disableAutoconnect: true,
                                             disconnect: {waitForPending: true}});
    client.socketOn("error", fail);
    await client.connect();
    const sent = [];
    for (let i = 0; i < count; i++) {
        const record = {log: `${name} ${i}`, n: i, half: i + 0.5, text: "Grüße ✓", none: null,
                        list: [true, {deep: -1}]};
        sent.push(client.emit(name, record, new EventTime(1700000000 + i, i)));
    }
    await Promise.all(sent);
    await client.shutdown();
}

main().catch(fail);
