// The scenarios with the OpenAI SDK for JavaScript and its streaming helper.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk_test", maxRetries: 0 });

async function turn(scenario, earlier) {
  const messages = [...scenario.request.messages, ...earlier];
  const { extra_body: extra, ...request } = scenario.request;
  const stream = client.chat.completions.stream({ ...request, ...extra, messages });
  const seen = { text: "", order: [], calls: [] };
  for await (const chunk of stream) {
    const delta = chunk.choices[0]?.delta;
    if (delta?.content) {
      seen.text += delta.content;
      seen.order.push("words");
      if (scenario.interrupt) {
        stream.abort();
        return seen;
      }
    }
    for (const call of delta?.tool_calls ?? []) {
      seen.order.push("call");
      seen.calls[call.index] ??= { id: call.id, name: call.function.name, arguments: "" };
      seen.calls[call.index].arguments += call.function.arguments ?? "";
    }
  }
  return seen;
}

function echo(seen) {
  const calls = seen.calls.map(({ id, name, arguments: text }) => ({
    id,
    type: "function",
    function: { name, arguments: text },
  }));
  const results = calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: '{"ok": true}' }));
  return [{ role: "assistant", content: seen.text, tool_calls: calls }, ...results];
}

const seen = {};
for (const [name, scenario] of Object.entries(JSON.parse(process.argv[3]))) {
  seen[name] = await turn(scenario, (scenario.after ?? []).flatMap((before) => echo(seen[before])));
}
console.log(JSON.stringify(seen));
