// "Copy as CSV": says on the button that it did, or why it could not.
import { createSignal, onCleanup, type JSX } from 'solid-js'
import Check from 'lucide-solid/icons/check'
import Copy from 'lucide-solid/icons/copy'
import { t } from '../text/text'
import { announce } from './announce'

export function CopyCsv(props: { text: () => string; rows: number; brief?: boolean }): JSX.Element {
  const [said, setSaid] = createSignal('')
  let timer: ReturnType<typeof setTimeout> | undefined
  onCleanup(() => clearTimeout(timer))
  async function copy(): Promise<void> {
    let words: string
    try {
      await navigator.clipboard.writeText(props.text())
      words = t('table.copied', { count: props.rows })
    } catch {
      words = t('table.notcopied')
    }
    announce(words)
    setSaid(words)
    clearTimeout(timer)
    timer = setTimeout(() => setSaid(''), 3000)
  }
  return (
    <button class="button quiet" classList={{ 'icon-only': props.brief }} aria-label={props.brief ? t('table.copy') : undefined} title={props.brief ? said() || t('table.copy') : undefined} onClick={() => void copy()}>
      {said() ? <Check size={16} /> : <Copy size={16} />}
      {props.brief ? '' : said() || t('table.copy')}
    </button>
  )
}
