import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyPolicy, fieldOf, passwordProblem, policyProblem, serviceNameValid } from '../../../portal/src/pages/settings/service'

test('names and passwords of services', () => {
  for (const good of ['a', 'back-end_1:x', 'x'.repeat(128)]) assert.ok(serviceNameValid(good), good)
  for (const bad of ['', 'a/b', 'a b', 'ü', 'a+', 'x'.repeat(129)]) assert.ok(!serviceNameValid(bad), bad)
  for (const good of ['!'.repeat(12), '~'.repeat(256)]) assert.equal(passwordProblem(good), undefined)
  for (const bad of ['', '!'.repeat(11), '~'.repeat(257), 'twelve chars', 'pässwort-lang']) assert.notEqual(passwordProblem(bad), undefined, bad)
})

test('a policy is an object of lists of texts', () => {
  for (const good of [emptyPolicy, '{}', '{"publish":["a/#"],"subscribe":["b/+"],"connect":["x"]}']) assert.equal(policyProblem(good), undefined, good)
  for (const bad of ['', '{', '[]', '1', 'null', '{"publish":"a"}', '{"publish":[1]}']) assert.notEqual(policyProblem(bad), undefined, bad)
  assert.match(policyProblem('{"read":[]}') ?? '', /read/)
})

test('a refusal stands beside the field that the server names, and a taken name beside the name', () => {
  assert.equal(fieldOf(400, '/policy'), 'policy')
  assert.equal(fieldOf(400, '/password'), 'password')
  assert.equal(fieldOf(409, ''), 'name')
  assert.equal(fieldOf(400, ''), '')
  assert.equal(fieldOf(503, '/other'), '')
})
