// A caller in JavaScript: the OpenAI SDK with nothing changed but the address. Prints what it got as one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk_test", maxRetries: 0 });
const request = {
  model: "electron",
  messages: [{ role: "user", content: "Hello there!" }],
  max_tokens: 16,
  seed: 1,
};

const plain = await client.chat.completions.create(request);

const stream = await client.chat.completions.create({
  ...request,
  stream: true,
  stream_options: { include_usage: true },
});
let streamed = "";
let usage = null;
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}

const helper = client.chat.completions.stream(request);
const final = await helper.finalChatCompletion();

let refused = null;
try {
  await client.chat.completions.create({ ...request, n: 2 });
} catch (error) {
  refused = { status: error.status, type: error.error?.type, details: error.error?.details };
}

console.log(
  JSON.stringify({
    plain: plain.choices[0].message.content,
    streamed,
    usage,
    helper: final.choices[0].message.content,
    refused,
  }),
);
