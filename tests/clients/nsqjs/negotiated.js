// Whether what a reader asks for is in force: the package's own suite passes as well where nothing is granted.

const assert = require('assert')
const child_process = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')

const fetch = require('node-fetch')
const nsq = require('nsqjs')
const pEvent = require('p-event')
const retry = require('async-retry')

const PEMS = path.join(path.dirname(require.resolve('nsqjs/package.json')), 'test')
const HTTP = 'http://127.0.0.1:4151'
const POLL = {retries: 100, minTimeout: 20, maxTimeout: 100}

const LAYERS = [
  {},
  {deflate: true, deflateLevel: 3},
  {snappy: true},
  {tls: true, tlsVerification: false},
  {tls: true, tlsVerification: false, snappy: true},
  {tls: true, tlsVerification: false, deflate: true},
]

describe('what is negotiated', () => {
  let nsqd = null

  beforeEach(async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'nsqd-'))
    const pems = ['-tls-cert', path.join(PEMS, 'cert.pem'), '-tls-key', path.join(PEMS, 'key.pem')]
    nsqd = child_process.spawn('nsqd', ['-data-path', dir, ...pems], {stdio: 'inherit'})
    await retry(async () => assert((await fetch(`${HTTP}/ping`)).ok), POLL)
  })

  afterEach(async () => {
    const exit = pEvent(nsqd, 'exit')
    nsqd.kill('SIGKILL')
    await exit
  })

  for (const layer of LAYERS) {
    it(`is in force: ${JSON.stringify(layer)}`, async () => {
      const options = {nsqdTCPAddresses: ['127.0.0.1:4150'], maxInFlight: 10, ...layer}
      const reader = new nsq.Reader('layers', 'c', options)
      reader.on('error', () => {})
      const connected = pEvent(reader, 'nsqd_connected')
      reader.connect()
      await connected

      // The event comes before the answer to SUB.
      const client = await retry(async () => {
        const stats = await (await fetch(`${HTTP}/stats?format=json&topic=layers`)).json()
        return stats.topics[0].channels[0].clients[0] || assert.fail('not subscribed')
      }, POLL)
      const found = [client.deflate, client.snappy, client.tls]
      assert.deepStrictEqual(found, [!!layer.deflate, !!layer.snappy, !!layer.tls])

      const bodies = ['x', 'sup'.repeat(40000), 'y']
      const left = new Set(bodies)
      const done = pEvent(reader, 'all')
      reader.on('message', (message) => {
        assert(left.delete(message.body.toString()))
        message.finish()
        if (left.size === 0) reader.emit('all')
      })
      for (const body of bodies) {
        await fetch(`${HTTP}/pub?topic=layers`, {method: 'POST', body})
      }
      await done
      const closed = pEvent(reader, 'nsqd_closed')
      reader.close()
      await closed
    })
  }
})
