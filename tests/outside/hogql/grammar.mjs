// PostHog's own parser: a query as a JSON text per line comes in, its syntax tree or the error goes out.
import { createRequire } from 'node:module'
import readline from 'node:readline'

const require = createRequire(process.argv[2] + '/')
const parser = await require('@posthog/hogql-parser')()
for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    process.stdout.write(parser.parseSelect(JSON.parse(line), true) + '\n')
}
