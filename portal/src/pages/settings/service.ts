// What a service may be called, its policy and its password, before the server is asked. The server decides for real.
import { t } from '../../text/text'

export const serviceNameValid = (name: string): boolean => /^[A-Za-z0-9_:-]{1,128}$/.test(name)

export const passwordProblem = (password: string): string | undefined => (/^[!-~]{12,256}$/.test(password) ? undefined : t('service.password.error'))

/** Allows nothing beyond connecting under its own name: every right is then a word somebody wrote. */
export const emptyPolicy = '{\n  "publish": [],\n  "subscribe": []\n}'

const lists = ['publish', 'subscribe', 'connect']

export function policyProblem(text: string): string | undefined {
  let policy: unknown
  try {
    policy = JSON.parse(text)
  } catch (cause) {
    return t('service.policy.json', { why: cause instanceof Error ? cause.message : String(cause) })
  }
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) return t('service.policy.object')
  for (const [key, value] of Object.entries(policy)) {
    if (!lists.includes(key)) return t('service.policy.key', { key })
    if (!Array.isArray(value) || !value.every((pattern) => typeof pattern === 'string')) return t('service.policy.list', { key })
  }
  return undefined
}

/** Beside which field a refusal belongs: the one the server names; a name that is taken has the status 409. */
export function fieldOf(status: number, field: string): string {
  const named = field.replace(/^\//, '')
  return ['name', 'policy', 'password'].includes(named) ? named : status === 409 ? 'name' : ''
}
