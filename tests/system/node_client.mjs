// Drives one client of the npm package mqtt; the same lines as paho_client.py. See client_driver.py.
import fs from 'node:fs'
import readline from 'node:readline'
import mqtt from 'mqtt'

const o = JSON.parse(process.argv[2])
const tell = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')
const reasonOf = (packet) => packet?.properties?.reasonString ?? ''
let client

function connect() {
  const options = {
    host: o.host, port: o.port, protocol: o.path ? 'wss' : o.ca ? 'mqtts' : 'mqtt', path: o.path, protocolVersion: o.version === 5 ? 5 : 4,
    clientId: o.id, clean: o.clean, keepalive: 30, reconnectPeriod: 0, resubscribe: false, connectTimeout: 10000,
  }
  if (o.version === 5 && !o.clean) options.properties = { sessionExpiryInterval: 3600 }
  if (o.ca) options.ca = fs.readFileSync(o.ca)
  if (o.cert) Object.assign(options, { cert: fs.readFileSync(o.cert), key: fs.readFileSync(o.key) })
  if (o.alpn) options.ALPNProtocols = [o.alpn]
  if (o.will) options.will = { topic: o.will.topic, payload: o.will.payload, qos: 1 }
  client = mqtt.connect(options)
  let code = 0, reason = ''
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'connack' && (packet.returnCode || packet.reasonCode)) tell('refused', { code: packet.reasonCode ?? packet.returnCode, reason: reasonOf(packet) })
    if (packet.cmd === 'suback') tell('suback', { codes: [...packet.granted].map((g) => g.qos ?? g) })
    if (packet.cmd === 'puback' || packet.cmd === 'pubcomp') tell('puback', { code: packet.reasonCode ?? 0, reason: reasonOf(packet) })
    if (packet.cmd === 'disconnect') [code, reason] = [packet.reasonCode, reasonOf(packet)]
  })
  client.on('connect', (connack) => tell('connected', { present: connack.sessionPresent }))
  client.on('message', (topic, payload, packet) => tell('message', { topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain }))
  client.on('close', () => tell('closed', { code, reason }))
  client.on('error', (error) => tell('error', { text: error.message }))
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const c = JSON.parse(line)
  if (c.do === 'connect') connect()
  else if (c.do === 'subscribe') client.subscribe(c.topic, { qos: c.qos }, () => {})
  else if (c.do === 'publish') client.publish(c.topic, c.payload, { qos: c.qos, retain: c.retain ?? false }, () => {})
  else if (c.do === 'disconnect') client.end()
  else if (c.do === 'quit') process.exit(0)
}
process.exit(0)
