// A session of ioredis with everyday commands; prints "ok" or throws. The port is the only argument.
const assert = require("assert");
const Redis = require("ioredis");

async function main() {
  const port = Number(process.argv[2]);
  const client = new Redis(port, "127.0.0.1");
  await client.flushall();

  assert.strictEqual(await client.set("greeting", "hello", "EX", 100), "OK");
  assert.strictEqual(await client.get("greeting"), "hello");
  assert.ok((await client.ttl("greeting")) > 90);
  assert.deepStrictEqual(await client.getBuffer("greeting"), Buffer.from("hello"));

  await client.hset("h", { a: "1", b: "2" });
  assert.deepStrictEqual(await client.hgetall("h"), { a: "1", b: "2" });
  await client.rpush("l", "x", "y", "z");
  assert.deepStrictEqual(await client.lrange("l", 0, -1), ["x", "y", "z"]);
  await client.zadd("z", 1, "low", 2.5, "high");
  assert.deepStrictEqual(await client.zrange("z", 0, -1, "WITHSCORES"), ["low", "1", "high", "2.5"]);

  const pipelined = await client.pipeline().set("a", 1).incr("a").lpush("a", "x").exec();
  assert.deepStrictEqual(pipelined.slice(0, 2), [[null, "OK"], [null, 2]]);
  assert.ok(/WRONGTYPE/.test(pipelined[2][0].message));
  assert.deepStrictEqual(await client.multi().set("b", 1).get("b").exec(), [[null, "OK"], [null, "1"]]);

  const listener = new Redis(port, "127.0.0.1");
  const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  await listener.subscribe("news");
  await client.publish("news", "hello");
  assert.deepStrictEqual(await heard, ["news", "hello"]);

  const waiter = new Redis(port, "127.0.0.1");
  const popped = waiter.blpop("queue", 10);
  await client.rpush("queue", "job");
  assert.deepStrictEqual(await popped, ["queue", "job"]);

  await client.mset(new Map(Array.from({ length: 500 }, (_, number) => [`key:${number}`, number])));
  const seen = new Set();
  for await (const keys of client.scanStream({ match: "key:*", count: 50 })) {
    keys.forEach((key) => seen.add(key));
  }
  assert.strictEqual(seen.size, 500);

  await assert.rejects(client.incr("greeting"), /not an integer/);
  [client, listener, waiter].forEach((each) => each.disconnect());
  console.log("ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
