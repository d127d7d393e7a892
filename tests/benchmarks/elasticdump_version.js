// Tells elasticdump the server's version, which it would ask for at `GET /`. The Elasticsearch of the
// tests has no such page.
const modules = process.env.ELASTICDUMP_MODULES
const Base = require(`${modules}/elasticdump/lib/transports/__es__/_base.js`)

Base.prototype.version = function (prefix, callback) {
  this.ESFullversion = '8.19.0'
  this.ESversion = '8'
  this.ESDistribution = 'elasticsearch'
  this.setSearchBody()
  callback()
}
