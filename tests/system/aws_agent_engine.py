"""Inspection as AWS's agent 1.3.4 does it, its defects included (contract fleetwise 6.2, 12 and 13). Times: `mono` and `wall` in milliseconds, given by the caller.

Every rebuild begins from nothing: buffers, windows, edges and waiting triggers of all campaigns. Standard library only."""
import collections
import math

from aws_agent_wire import TYPES, chosen

LEVELS = 10
MEMORY, SAMPLE_BYTES, CONDITIONS = 20 << 20, 16, 256
FETCH_EVERY, FETCH_QUEUE = 1000, 1000
SMALLEST_POSITIVE = {"FLOAT32": 1.17549435e-38, "FLOAT64": 2.2250738585072014e-308, "NULL": 2.2250738585072014e-308}
LOWEST = {"BOOL": 0, "UINT8": 0, "UINT16": 0, "UINT32": 0, "UINT64": 0, "INT8": -128, "INT16": -32768, "INT32": -1 << 31, "INT64": -1 << 63}
WINDOWS = ("low", "high", "mean")


class Abandoned(Exception):
    """The whole matrix is given up: no campaign is evaluated."""


class Wrong(Exception):
    """An evaluation that ends in an error: false."""


# ---- what is known of one signal for one campaign ----
class Window:
    """Tumbling, on the monotonic clock; phase by the first pass or sample after the matrix was built."""

    def __init__(self, period, kind):
        self.period, self.kind, self.end, self.last, self.before = period, kind, None, None, None
        self._begin()

    def _begin(self):
        self.low, self.sum, self.count = math.inf, 0, 0
        self.high = SMALLEST_POSITIVE.get(self.kind, LOWEST.get(self.kind, 0))  # the defect: a maximum below zero is never seen

    def add(self, value, mono):
        if self.end is None:
            self.end = mono + self.period
        self.low, self.high, self.sum, self.count = min(self.low, value), max(self.high, value), self.sum + value, self.count + 1

    def turn(self, mono):
        """True: it closed."""
        if self.end is None:
            self.end = mono + self.period
            return False
        if mono < self.end:
            return False
        mean = self.sum / self.count if self.count else 0
        if self.kind in LOWEST:
            mean = math.trunc(mean)
        self.before, self.last = self.last, {"low": self.low, "high": self.high, "mean": mean} if self.count else None
        self.end += self.period
        if mono >= self.end:  # nobody looked for longer than a window: that one was empty
            self.before, self.last = self.last, None
            self.end += (mono - self.end) // self.period * self.period + self.period
        self._begin()
        return True


class Buffer:
    def __init__(self, info, kind):
        self.signal, self.period, self.kind, self.only = info["signal_id"], info["minimum_sample_period_ms"], kind, info["condition_only_signal"]
        self.samples = collections.deque(maxlen=info["sample_buffer_size"])
        self.latest, self.fresh, self.taken_at = None, False, None
        self.before = "" if kind == "STRING" else 0  # the ring begins with zeros, so a first 0 is no change
        self.window = Window(info["fixed_window_period_ms"], kind) if info["fixed_window_period_ms"] and kind != "STRING" else None

    def add(self, value, mono, wall):
        """True: the value differs from the one before."""
        if self.window:
            self.window.add(value, mono)
        if self.taken_at is not None and wall - self.taken_at < self.period:
            return False
        self.taken_at = wall
        self.samples.append((wall, value))
        changed, self.before, self.latest, self.fresh = value != self.before, value, value, True
        return changed


# ---- expressions ----
def holds(node, names):
    """Does one of these kinds of node stand in the tree?"""
    if node is None:
        return False
    name, value = chosen(node)
    inner = []
    if name == "operator":
        inner = [value["left"], value["right"]]
    elif name == "function":
        name, value = chosen(value)
        inner = value["params"] if name == "custom" else [value["expression"]] if name == "is_null" else []
    return name in names or any(holds(item, names) for item in inner)


def built(node, levels=LEVELS):
    """Can the tree be built? What lies deeper than ten levels is dropped, and with it all that stands on it."""
    if node is None or not levels:
        return False
    name, value = chosen(node)
    if name == "operator":
        return built(value["left"], levels - 1) and (value["operator"] == 8 or built(value["right"], levels - 1))
    if name == "function":
        name, value = chosen(value)
        if name == "custom":
            return all(built(item, levels - 1) for item in value["params"])
        if name == "is_null":
            return built(value["expression"], levels - 1)
    return name is not None


def number(value):
    if isinstance(value, str):
        raise Wrong("a text where a number is needed")
    return float(value)


def logarithm(base, x):
    return math.log(x) / math.log(base)


FUNCTIONS = {"abs": (1, abs), "ceil": (1, math.ceil), "floor": (1, math.floor), "pow": (2, math.pow), "log": (2, logarithm), "min": (0, min), "max": (0, max)}


class Condition:
    """One campaign in the matrix."""

    def __init__(self, scheme, engine, mono):
        self.scheme, self.id, self.buffers = scheme, scheme["campaign_sync_id"], {}
        self.state, self.fell, self.pending, self.changed = True, False, None, False  # true until it is evaluated for the first time
        self.last = mono  # nothing fires before one interval has passed
        self.rising_edges, self.fetch_state, self.fetch_last = {}, {}, {}
        timed, asked = scheme["time_based"], scheme["condition_based"]
        self.interval = timed["period_ms"] if timed else asked["minimum_interval_ms"]
        self.rising = bool(asked and asked["trigger_mode"] == 1)
        self.tree = asked["condition_tree"] if asked else None
        for info in scheme["signal_information"]:
            if not info["signal_id"] or info["signal_id"] >> 31 or not info["sample_buffer_size"]:
                raise Abandoned(f"signal {info['signal_id']} with room for {info['sample_buffer_size']} samples")
            if not info["signal_path"]:
                self.buffers[info["signal_id"]] = Buffer(info, engine.kinds.get(info["signal_id"], "NULL"))
        self.windowed = holds(self.tree, ("window",))
        self.lasting = holds(self.tree, ("is_null", "custom"))
        self.static = bool(asked) and not holds(self.tree, ("signal_id", "part"))
        self.valid = timed is not None or built(self.tree)
        if not self.valid:
            self.state = False
        elif self.static and not self.lasting:
            self.evaluate()

    # ---- values: None is undefined ----
    def value(self, node):
        name, value = chosen(node)
        if name == "signal_id":
            buffer = self.buffers.get(value)
            return None if not buffer or buffer.kind == "INT16" else buffer.latest  # the defect: looked for among those of UINT16
        if name == "operator":
            return self._operator(value)
        if name == "function":
            return self._function(*chosen(value))
        return None if name == "part" else value

    def _operator(self, node):
        code, left = node["operator"], self.value(node["left"])
        if code == 8:
            return None if left is None else not number(left)
        right = self.value(node["right"])  # both sides, always
        if left is None or right is None:
            return None
        if isinstance(left, str) or isinstance(right, str):
            if not (isinstance(left, str) and isinstance(right, str)) or code not in (4, 5, 9):
                raise Wrong("a text beside what is none")
            return left == right if code == 4 else left != right if code == 5 else left + right
        a, b = float(left), float(right)
        same = abs(a - b) < 0.001
        if code == 12:
            return a / b if b else math.copysign(math.inf, a) if a else math.nan
        return (a < b, a > b, a <= b, a >= b, same, not same, bool(a) and bool(b), bool(a) or bool(b), None, a + b, a - b, a * b)[code]

    def _function(self, name, node):
        if name == "window":
            buffer = self.buffers.get(node["signal_id"])
            if not buffer or not buffer.window or buffer.kind == "INT16":
                return None
            found = buffer.window.before if node["window_type"] > 2 else buffer.window.last
            return found and found[WINDOWS[node["window_type"] % 3]]
        if name == "is_null":
            inner, signal = chosen(node["expression"])
            buffer = self.buffers.get(signal) if inner == "signal_id" else None
            return None if not buffer or buffer.kind == "INT16" else not buffer.fresh
        return self._custom(node["function_name"], [self.value(item) for item in node["params"]])

    def _custom(self, name, arguments):
        if name == "MULTI_RISING_EDGE_TRIGGER":
            return self._rising_edges(arguments)
        if name not in FUNCTIONS:
            raise Wrong(f"no function {name}")
        count, function = FUNCTIONS[name]
        if not arguments or (count and len(arguments) != count):
            raise Wrong(f"{name} with {len(arguments)} arguments")
        if None in arguments:
            return None
        try:
            return float(function(*map(number, arguments))) if len(arguments) > 1 or count else number(arguments[0])
        except (ValueError, OverflowError, ZeroDivisionError) as problem:
            raise Wrong(str(problem)) from problem

    def _rising_edges(self, arguments):
        """(name, bool, name, bool, ...): true when one of them has just risen."""
        risen = False
        for name, now in zip(arguments[::2], arguments[1::2]):
            if not isinstance(name, str) or isinstance(now, str):
                raise Wrong("MULTI_RISING_EDGE_TRIGGER takes names and truths in turn")
            risen |= bool(now) and not self.rising_edges.get(name, True)
            self.rising_edges[name] = bool(now)
        return risen

    def truth(self, tree):
        try:
            return bool(number(self.value(tree) or 0.0))
        except Wrong:
            return False

    def evaluate(self):
        self.state = self.truth(self.tree)
        self.fell |= not self.state

    # ---- each pass ----
    def look(self, mono, wall, engine):
        closed = False
        for buffer in self.buffers.values():
            closed |= bool(buffer.window and buffer.window.turn(mono))
        if self.tree is not None and self.valid and (not self.static or self.lasting) and (self.changed or (closed and self.windowed) or self.lasting):
            self.evaluate()
            self._look_fetches(mono, engine)
        self.changed = False
        if self.pending is None and self.valid and self.state and mono - self.last >= self.interval and (not self.rising or self.fell):
            self.last, self.fell = mono, False
            self.pending = (mono + self.scheme["after_duration_ms"], wall, engine.next_event(wall))
        if self.pending is not None and mono >= self.pending[0]:
            _, at, event = self.pending
            self.pending = None
            return engine.collect(self, at, event)
        return None

    def _look_fetches(self, mono, engine):
        for index, fetch in enumerate(self.scheme["signal_fetch_information"]):
            if fetch["condition_based"] and fetch_fits(fetch):
                now = self.truth(fetch["condition_based"]["condition_tree"])
                rose = now and not self.fetch_state.get(index, False)
                self.fetch_state[index] = now
                if (rose if fetch["condition_based"]["trigger_mode"] else now) and mono - self.fetch_last.get(index, -math.inf) >= FETCH_EVERY:
                    self.fetch_last[index] = mono
                    engine.fetch(fetch)

    def look_timed_fetches(self, mono, engine):
        for index, fetch in enumerate(self.scheme["signal_fetch_information"]):  # how often at most, and when that begins anew, is ignored
            if fetch["time_based"] and fetch_fits(fetch) and mono - self.fetch_last.setdefault(index, mono) >= fetch["time_based"]["execution_frequency_ms"]:
                self.fetch_last[index] = mono
                engine.fetch(fetch)


def fetch_fits(fetch):
    """With one invalid action an entry is dropped as a whole."""
    def literal(node):
        return chosen(node)[0] in ("double", "boolean", "string")

    def fits(action):
        name, function = chosen(action)
        name, function = chosen(function) if name == "function" else (None, None)
        return name == "custom" and function["function_name"] and all(literal(item) for item in function["params"])

    return bool(fetch["actions"]) and all(fits(action) for action in fetch["actions"])


class Engine:
    def __init__(self):
        self.kinds, self.conditions, self.counter, self.codes, self.actions, self.told = {}, [], 0, [], collections.deque(), []

    def rebuild(self, manifest, schemes, mono):
        """Of the enabled schemes. What it does without a word to the platform stands in `told`."""
        self.conditions, self.kinds, room = [], {}, MEMORY
        for signals in ("can_signals", "obd_pid_signals", "custom_decoding_signals"):
            for signal in manifest[signals] if manifest else []:
                self.kinds[signal["signal_id"]] = TYPES[signal["primitive_type"]] if signal["primitive_type"] < len(TYPES) else "NULL"
        made = []
        try:
            for scheme in schemes[:CONDITIONS]:
                condition = Condition(scheme, self, mono)
                for signal, buffer in list(condition.buffers.items()):
                    room -= buffer.samples.maxlen * SAMPLE_BYTES
                    if room < 0:
                        self.told.append(f"no memory for signal {signal} of {condition.id}")
                        del condition.buffers[signal]
                made.append(condition)
        except Abandoned as problem:
            self.told.append(f"matrix abandoned: {problem}")
            return
        if len(schemes) > CONDITIONS:
            self.told.append(f"{len(schemes) - CONDITIONS} campaigns beyond {CONDITIONS} dropped")
        self.conditions = made

    def sample(self, signal, value, mono, wall):
        for condition in self.conditions:
            buffer = condition.buffers.get(signal)
            if buffer and isinstance(value, str) == (buffer.kind == "STRING"):
                condition.changed |= buffer.add(value, mono, wall)

    def next_event(self, wall):
        self.counter = self.counter % 255 + 1
        return (int(wall) << 8 | self.counter) & 0x7FFFFFFF

    def fetch(self, fetch):
        if len(self.actions) < FETCH_QUEUE:
            self.actions.append(fetch)

    def collect(self, condition, at, event):
        """(scheme, event, time, [(signal, time, value)] newest first, codes), or None: there is nothing to send."""
        samples = []
        for buffer in condition.buffers.values():
            if not buffer.only:
                samples += [(buffer.signal, when, value) for when, value in reversed(buffer.samples)]
                buffer.samples.clear()
                buffer.fresh = False
        codes = list(self.codes) if condition.scheme["include_active_dtcs"] else []
        return (condition.scheme, event, at, samples, codes) if samples or codes else None

    def turn(self, mono, wall):
        """One pass over all conditions; what was collected."""
        out = []
        for condition in self.conditions:
            condition.look_timed_fetches(mono, self)
            got = condition.look(mono, wall, self)
            if got:
                out.append(got)
        return out
