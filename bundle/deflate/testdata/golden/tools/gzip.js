// Writes its input as gzip: node gzip.js LEVEL
const fs = require('fs')
const zlib = require('zlib')

process.stdout.write(zlib.gzipSync(fs.readFileSync(0), { level: Number(process.argv[2]) }))
