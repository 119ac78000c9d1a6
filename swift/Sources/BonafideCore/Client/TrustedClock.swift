/// What the app knows of the time (PROTOCOL section 2): the device's clock, corrected by what the service says.
///
/// A `Date` field, which any proxy can write, moves it by five minutes at most, and only until a session brought the
/// service's signed time. From then on it runs by the steady clock, so that setting the device's changes nothing.
final class TrustedClock: Sendable {
    static let maxShift: Double = 300

    /// An anchor outweighs the rest, which may then be whatever somebody wrote.
    private struct State {
        /// What an earlier start learnt from a session: a second place around which a `Date` may be believed.
        var remembered: Double
        var shift: Double
        var anchor: (steady: Double, time: Double)?
    }

    private let clock: any Clock
    private let state: Guarded<State>

    init(_ clock: any Clock, remembered: Double = 0) {
        self.clock = clock
        state = Guarded(State(remembered: remembered, shift: remembered, anchor: nil))
    }

    /// Whether a session of this start set the clock.
    var isTrusted: Bool { state.withLock { $0.anchor != nil } }

    /// Seconds since 1970.
    func now() -> Double {
        let (shift, anchor) = state.withLock { ($0.shift, $0.anchor) }
        return anchor.map { $0.time + clock.steady() - $0.steady } ?? clock.wall() + shift
    }

    /// Whole seconds since 1970, for a proof: 0 where what the device believes is no time at all.
    var stamp: Int {
        let now = now()
        return abs(now) < Double(JSONReader.maxInteger) ? Int(now) : 0
    }

    /// By how much this differs from the device's clock.
    var shift: Double { now() - clock.wall() }

    /// Takes what an earlier start learnt, unless this one knows better.
    func remember(_ shift: Double) {
        state.withLock { state in
            guard shift.isFinite, state.remembered != shift else { return }
            state.remembered = shift
            state.shift = shift
        }
    }

    /// Takes the `Date` of an answer as a hint; what is no HTTP date is ignored.
    func learn(_ date: String?) {
        guard let told = date.flatMap(HTTPDate.seconds) else { return }
        let wall = clock.wall()
        state.withLock { state in
            let shift = told - wall
            let centre = abs(shift) <= abs(shift - state.remembered) ? 0 : state.remembered
            state.shift = min(max(shift, centre - Self.maxShift), centre + Self.maxShift)
        }
    }

    /// Sets the clock by the `iat` of a session whose signature and challenge held. The time under way makes it late
    /// by as much and never early: a proof may be old, but not from the future.
    func trust(_ issuedAt: Int) {
        let steady = clock.steady()
        state.withLock { $0.anchor = (steady, Double(issuedAt)) }
    }
}

/// The preferred form of an HTTP date (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
enum HTTPDate {
    /// Seconds since 1970, or nil for anything else.
    static func seconds(_ text: String) -> Double? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].count == 4, parts[5] == "GMT", let day = number(parts[1], 2),
            let month = months.firstIndex(of: parts[2]), let year = number(parts[3], 4), year >= 1970
        else { return nil }
        let time = parts[4].split(separator: ":", omittingEmptySubsequences: false)
        guard time.count == 3, let hour = number(time[0], 2), let minute = number(time[1], 2),
            let second = number(time[2], 2), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        return Double(days(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second)
    }

    private static let months: [Substring] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func number(_ text: Substring, _ digits: Int) -> Int? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }

    /// Days since 1970-01-01 in the Gregorian calendar, whose years are counted from March so that February ends them.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let fromMarch = (month + 9) % 12
        let leaps = shifted / 4 - shifted / 100 + shifted / 400
        return shifted * 365 + leaps + (fromMarch * 153 + 2) / 5 + day - 1 - 719_468
    }
}
