// Preloaded into mocha: amqplib's tests that connect to the default port, whatever URL they are
// given, reach the broker under test instead.
'use strict';

const net = require('net');

const AMQP_PORT = 5672;
const port = Number(new URL(process.env.URL).port);
const connect = net.connect;

net.connect = function (options, ...rest) {
  if (options && Number(options.port) === AMQP_PORT) {
    options = Object.assign({}, options, { port });
  }
  return connect.call(this, options, ...rest);
};
