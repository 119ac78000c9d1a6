/// Keeps the credentials fresh: one enrolment or renewal in flight, whatever the number of callers and processes.
actor Keeper {
    /// What a caller needs.
    enum Need: Sendable {
        /// A client attestation that has not ended.
        case usable
        /// One that is not about to end.
        case early
        /// Another one than this, which an answer refused.
        case otherThan(String)
        /// Evidence that was given for another challenge than this, as an answer asked for it.
        case assertedAfter(String)
        /// An enrolment that followed this attestation, because an answer asked for it.
        case enrolledAfter(String)

        var isEnrolment: Bool {
            if case .enrolledAfter = self { true } else { false }
        }

        var isAssertion: Bool {
            if case .assertedAfter = self { true } else { false }
        }
    }

    private let configuration: Configuration
    private let world: World
    private let clock: TrustedClock
    private let turnstile: Turnstile
    private let live: Guarded<Credentials?>
    private let holder: Ledger.Holder
    private var flight: Promise?
    private var flightAsserts = false
    private var stopped: Action?

    init(
        configuration: Configuration, world: World, clock: TrustedClock, turnstile: Turnstile,
        live: Guarded<Credentials?>
    ) {
        self.configuration = configuration
        self.world = world
        self.clock = clock
        self.turnstile = turnstile
        self.live = live
        holder = .init(
            name: Base64.urlEncoded(world.crypto.random(16)), run: configuration.run, role: configuration.role)
    }

    /// Returns when `need` is met. Throws `BonafideError`, `CancellationError` and, to who needs an enrolment,
    /// `Story.EnrolAgainUsedUp`; who is cancelled stops waiting, and what is under way goes on for the others.
    func satisfy(_ need: Need) async throws {
        while !isMet(need) {
            if let flight {
                let asserts = flightAsserts
                do {
                    try await flight.wait()
                    // An answer may want renewal at once; it is not renewed for each that waited.
                    if case .early = need { return }
                } catch let error as Story.EnrolAgainUsedUp {
                    // Somebody else wanted a new enrolment. Who did not goes on alone.
                    guard !need.isEnrolment else { throw error }
                } catch BonafideError.attestationFailed(let failure) {
                    // Likewise for who needs no assertion.
                    guard asserts, !need.isAssertion else { throw BonafideError.attestationFailed(failure) }
                }
                continue
            }
            let promise = Promise()
            flight = promise
            flightAsserts = need.isAssertion
            // Whoever comes first may be in the background; whoever waits may be a user.
            Task(priority: .userInitiated) {
                let outcome: Result<Void, any Error>
                do {
                    try await fly(need)
                    outcome = .success(())
                } catch {
                    outcome = .failure(error)
                }
                flight = nil
                promise.fulfil(outcome)
            }
            try await promise.wait()
            return
        }
    }

    private func isMet(_ need: Need) -> Bool {
        let now = clock.now()
        guard let credentials = live.withLock({ $0 }), credentials.isUsable(at: now) else { return false }
        switch need {
        case .usable: return true
        case .early: return now < credentials.renewAt
        case .assertedAfter(let challenge): return credentials.assertedFor != challenge
        case .otherThan(let refused), .enrolledAfter(let refused): return credentials.attestation != refused
        }
    }

    private func fly(_ need: Need) async throws {
        if let stopped { throw BonafideError.stopped(stopped) }
        var waits = 0
        for _ in 0..<Self.maxTakeovers {
            do {
                var ledger = try Ledger.open(world, role: configuration.role)
                clock.remember(ledger.record.clockShift)
                publish(ledger)
                if isMet(need) { return }
                while ledger.isLeased(toOtherThan: holder, now: world.clock.wall()) {
                    waits += 1
                    guard waits <= Self.maxWaits else { throw BonafideError.busy(retryAfter: Self.waitSeconds) }
                    try await world.clock.sleep(Self.waitSeconds)
                    ledger = try Ledger.open(world, role: configuration.role)
                    publish(ledger)
                    if isMet(need) { return }
                }
                return try await work(ledger, need)
            } catch is Ledger.Moved {
                continue  // another process swapped the record: look again
            }
        }
        throw BonafideError.busy(retryAfter: Self.waitSeconds)
    }

    private static let maxTakeovers = 16
    private static let waitSeconds = 0.25
    private static let maxWaits = 480

    private func work(_ ledger: Ledger, _ need: Need) async throws {
        let courier = Courier(
            configuration: configuration, world: world, clock: clock, turnstile: turnstile, keys: ledger.keys)
        var story = Story(
            configuration: configuration, world: world, clock: clock, courier: courier, holder: holder,
            ledger: ledger)
        try story.ledger.lease(to: holder, now: world.clock.wall())
        do {
            try await tell(&story, need)
        } catch let moved as Ledger.Moved {
            throw moved
        } catch {
            if case BonafideError.refused(_, let action?, _) = error, action.isTerminal { stopped = action }
            publish(story.ledger)
            try? story.ledger.release(holder)  // where that fails too, it ends by itself
            throw error
        }
        publish(story.ledger)
        try? story.ledger.release(holder)  // what was done is done, and the right ends by itself
    }

    private func tell(_ story: inout Story, _ need: Need) async throws {
        switch (story.ledger.record.enrolment, need) {
        case (.enrolled, .enrolledAfter):
            guard configuration.role == .app else { throw BonafideError.appMustRun }
            try await story.enrolAgain()
        case (.enrolled, .assertedAfter): try await story.renewWithAssertion()
        case (.enrolled, _): try await story.renew()
        default:
            guard configuration.role == .app else { throw BonafideError.appMustRun }
            try await story.enrol()
        }
    }

    /// While enrolment begins anew under the same keys, what was issued before goes on until it ends.
    private func publish(_ ledger: Ledger) {
        guard case .enrolled(let enrolled) = ledger.record.enrolment else {
            return live.withLock { live in
                if live?.keys.jkt != ledger.keys.jkt { live = nil }
            }
        }
        let credentials = Credentials(enrolled, keys: ledger.keys, crypto: world.crypto)
        live.withLock { $0 = credentials }
    }
}
