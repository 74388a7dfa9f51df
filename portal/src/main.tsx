import { render } from 'solid-js/web'
import { App } from './App'
import './style/tokens.css'
import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/pages.css'
import './style/fleetwise.css'

const root = document.getElementById('root')
if (root) render(() => <App />, root)
