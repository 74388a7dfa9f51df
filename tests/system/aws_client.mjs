// AWS's SDK for JavaScript (version 2, whose model of iotfleetwise has 52 operations), driven by lines of JSON on stdin:
// {"operation": "getCampaign", "input": {...}} gives {"answer": ...} or {"code": ..., "message": ...}. Bytes are {"base64": ...}.
import readline from "node:readline";
process.noDeprecation = true;
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const { default: AWS } = await import("aws-sdk");

const [, , endpoint, accessKeyId, secretAccessKey] = process.argv;
const client = new AWS.IoTFleetWise({ endpoint, region: "eu-central-1", accessKeyId, secretAccessKey, maxRetries: 0 });

function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.base64 === "string") return Buffer.from(value.base64, "base64");
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]));
}

console.log(JSON.stringify({ operations: Object.keys(client.api.operations) }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { operation, input } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ answer: await client[operation](revive(input)).promise() }));
  } catch (problem) {
    console.log(JSON.stringify({ code: problem.code ?? problem.name, message: problem.message, status: problem.statusCode, id: problem.requestId }));
  }
}
