// Which page stands at which address, and who may see any of them: without a session there is only the sign-in page.
import { Route, Router } from '@solidjs/router'
import { ErrorBoundary, Match, Show, Suspense, Switch, createEffect, createSignal, lazy, type JSX } from 'solid-js'
import { findSession, me, unreachable } from './api/session'
import { ApiError } from './api/client'
import { forget } from './live/directory'
import { SignIn } from './pages/sign-in/SignIn'
import { Frame } from './ui/Frame'
import { Failure, Skeleton } from './ui/Notice'
import { t } from './text/text'
import { theme } from './ui/preferences'
import { Centre } from './pages/centre/Centre'
import { linkCode } from './ui/address'

const MapPage = lazy(() => import('./pages/map/MapPage'))
const Vehicles = lazy(() => import('./pages/vehicles/Vehicles'))
const VehiclePage = lazy(() => import('./pages/vehicle/VehiclePage'))
const Campaigns = lazy(() => import('./pages/campaigns/Campaigns'))
const CampaignPage = lazy(() => import('./pages/campaigns/CampaignPage'))
const CampaignEditor = lazy(() => import('./pages/campaigns/CampaignEditor'))
const EventPage = lazy(() => import('./pages/event/EventPage'))
const Fleets = lazy(() => import('./pages/fleets/Fleets'))
const ImportPage = lazy(() => import('./pages/import/ImportPage'))
const Manifests = lazy(() => import('./pages/manifests/Manifests'))
const ModelPage = lazy(() => import('./pages/manifests/ModelPage'))
const ComparePage = lazy(() => import('./pages/manifests/ComparePage'))
const DecoderPage = lazy(() => import('./pages/manifests/DecoderPage'))
const Templates = lazy(() => import('./pages/templates/Templates'))
const Devices = lazy(() => import('./pages/devices/Devices'))
const ClientPage = lazy(() => import('./pages/devices/ClientPage'))
const TracePage = lazy(() => import('./pages/devices/TracePage'))
const Signals = lazy(() => import('./pages/signals/Signals'))
const Settings = lazy(() => import('./pages/settings/Settings'))

function NotFound(): JSX.Element {
  return (
    <div class="page">
      <h1>{t('notfound.title')}</h1>
      <p class="soft">{t('notfound.text')}</p>
      <p>
        <a href="/">{t('page.centre')}</a>
      </p>
    </div>
  )
}

function Pages(): JSX.Element {
  return (
    <Router
      root={(props) => (
        <Frame {...props}>
          <ErrorBoundary fallback={(error: unknown, again) => <Failure error={error instanceof ApiError ? error : new ApiError(0, t('error.page'), error instanceof Error ? error.message : String(error), '', '')} retry={again} />}>
            <Suspense
              fallback={
                <div class="page">
                  <Skeleton rows={12} />
                </div>
              }
            >
              {props.children}
            </Suspense>
          </ErrorBoundary>
        </Frame>
      )}
    >
      <Route path="/" component={Centre} />
      <Route path="/map" component={MapPage} />
      <Route path="/vehicles" component={Vehicles} />
      <Route path="/vehicles/:id" component={VehiclePage} />
      <Route path="/vehicles/:id/event" component={EventPage} />
      <Route path="/fleets" component={Fleets} />
      <Route path="/fleets/:fleet" component={Fleets} />
      <Route path="/templates" component={Templates} />
      <Route path="/templates/:template" component={Templates} />
      <Route path="/campaigns" component={Campaigns} />
      <Route path="/campaigns/new" component={CampaignEditor} />
      <Route path="/campaigns/:id" component={CampaignPage} />
      <Route path="/campaigns/:id/edit" component={CampaignEditor} />
      <Route path="/devices" component={Devices} />
      <Route path="/devices/client" component={ClientPage} />
      <Route path="/devices/trace" component={TracePage} />
      <Route path="/signals" component={Signals} />
      <Route path="/signals/import" component={ImportPage} />
      <Route path="/signals/manifests" component={Manifests} />
      <Route path="/signals/models/:name" component={ModelPage} />
      <Route path="/signals/decoders/:name" component={DecoderPage} />
      <Route path="/signals/decoders/:name/compare" component={ComparePage} />
      <Route path="/settings" component={Settings} />
      <Route path="*" component={NotFound} />
    </Router>
  )
}

export function App(): JSX.Element {
  void theme()
  // A one-time link is redeemed by the sign-in page even when an old session still stands.
  const [code, setCode] = createSignal(linkCode(location.hash))
  if (!code()) void findSession()
  // The link may also be opened in a tab that already shows the sign-in page: then only the fragment changes.
  addEventListener('hashchange', () => {
    const found = linkCode(location.hash)
    if (found && me() === null) setCode(found)
  })
  createEffect(() => {
    if (me() === null) forget()
  })
  return (
    <Switch fallback={<div class="boot" aria-busy="true" />}>
      <Match when={me()}>
        <Pages />
      </Match>
      <Match when={me() === null || code()}>
        <SignIn code={code()} />
      </Match>
      <Match when={unreachable()}>
        <div class="boot">
          <Show when={unreachable()}>
            <Failure error={unreachable()} retry={() => void findSession()} />
          </Show>
        </div>
      </Match>
    </Switch>
  )
}
