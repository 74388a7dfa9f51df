import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SignalInfo } from '../../../portal/src/api/types'
import { pathsTo, rowsIn, treeOf } from '../../../portal/src/pages/signals/tree'

const of = (...names: string[]): SignalInfo[] => names.map((fqn, i) => ({ id: i + 1, fqn, unit: '', type: 'DOUBLE', description: '' }))

test('names become branches with the count of signals below them', () => {
  const roots = treeOf(of('Vehicle.Speed', 'Vehicle.Cabin.Door.IsOpen', 'Vehicle.Cabin.Light', 'Alone'))
  assert.deepEqual(roots.map((r) => [r.path, r.signals]), [['Alone', 1], ['Vehicle', 3]])
  const vehicle = roots[1]
  assert.deepEqual(vehicle?.branches.map((b) => [b.path, b.level, b.signals]), [['Vehicle.Cabin', 2, 2]])
  assert.deepEqual(vehicle?.leaves.map((l) => l.fqn), ['Vehicle.Speed'])
})

test('only open branches show what is in them, in natural order, with their place among siblings', () => {
  const roots = treeOf(of('V.Row10', 'V.Row2', 'V.B.X'))
  assert.deepEqual(rowsIn(roots)(() => false).map((r) => r.path), ['V'])
  const rows = rowsIn(roots)((path) => path === 'V')
  assert.deepEqual(rows.map((r) => [r.path, r.level, r.place, r.size, r.parent]), [['V', 1, 1, 1, ''], ['V.B', 2, 1, 3, 'V'], ['V.Row2', 2, 2, 3, 'V'], ['V.Row10', 2, 3, 3, 'V']])
})

test('the way to a signal is every branch above it', () => {
  assert.deepEqual([...pathsTo(of('A.B.C', 'A.D', 'E'))], ['A', 'A.B'])
})
