/// Which key proves a request.
public enum ProofKind: Sendable {
    /// The session's MAC key: for most requests.
    case session
    /// The `sign` key, in the Secure Enclave: for logins and whatever else a route demands it for.
    case hardware
}

/// One app on one device, talking to one service and its API.
///
/// The device is enrolled on first use. While its client attestation is fresh, a proof costs no network, no actor and
/// no storage; it is renewed ahead of its end, beside the requests that go on.
public final class Client: Sendable {
    private let configuration: Configuration
    private let world: World
    private let clock: TrustedClock
    private let turnstile = Turnstile()
    private let live = Guarded<Credentials?>(nil)
    /// Before this time no further early renewal is tried: seconds since 1970.
    private let nextEarlyRenewal = Guarded<Double>(0)
    private let keeper: Keeper

    /// Nothing is read or sent yet.
    public init(configuration: Configuration, world: World) {
        self.configuration = configuration
        self.world = world
        clock = TrustedClock(world.clock)
        keeper = Keeper(configuration: configuration, world: world, clock: clock, turnstile: turnstile, live: live)
    }

    /// Enrols where that has not been done and renews where it is due, ahead of the first request.
    ///
    /// Throws `BonafideError` and `CancellationError`.
    public func prepare() async throws { try await keeper.satisfy(.early) }

    /// Returns the fields that prove `request`. Without the network where the client attestation is fresh.
    ///
    /// Throws `BonafideError` and `CancellationError`. Proves nothing to the app: whether the request is admitted is
    /// for the API to say.
    public func prove(_ request: RequestHead, proof: ProofKind = .session) async throws -> ProofFields {
        try await prove(request, proof, credentials())
    }

    private func credentials() async throws -> Credentials {
        let now = clock.now()
        if let credentials = live.withLock({ $0 }), credentials.isUsable(at: now) {
            if now >= credentials.renewAt { renewEarly(now) }
            return credentials
        }
        try await keeper.satisfy(.usable)
        guard let credentials = live.withLock({ $0 }) else {
            throw BonafideError.answerRefused("nothing to prove with")
        }
        return credentials
    }

    private func prove(
        _ request: RequestHead, _ proof: ProofKind, _ credentials: Credentials
    ) async throws -> ProofFields {
        let attestation = credentials.attestation
        switch proof {
        case .session:
            return credentials.session.prove(
                request, attestation: attestation, created: clock.stamp, crypto: world.crypto)
        case .hardware:
            let signer = HardwareSigner(
                keys: credentials.keys, clock: clock, crypto: world.crypto, turnstile: turnstile)
            return try await signer.prove(request, attestation: attestation)
        }
    }

    /// Starts a renewal beside the request, which does not wait for it; a failure is borne while the old one lasts.
    private func renewEarly(_ now: Double) {
        let isDue = nextEarlyRenewal.withLock { next in
            guard now >= next || next > now + 2 * Self.earlyRenewalPause else { return false }
            next = now + Self.earlyRenewalPause
            return true
        }
        guard isDue else { return }
        Task { [keeper] in try? await keeper.satisfy(.early) }
    }

    private static let earlyRenewalPause: Double = 30
    private static let maxWaits = 3

    /// Proves `request`, has `send` send it with these fields, and follows what a refusal asks for, within bounds.
    ///
    /// `repeatable` says that a second sending does no harm: the method is safe, or the request carries an
    /// Idempotency-Key. Redirects are the caller's. Returns the last answer, whatever its status. Throws
    /// `BonafideError`, among them `.outcomeUnknown` where only the caller can decide about sending again,
    /// `CancellationError`, and what `send` throws.
    public func perform<Answer: Sendable>(
        _ request: RequestHead, proof: ProofKind = .session, repeatable: Bool,
        send: (ProofFields) async throws -> (Answer, AnswerHead)
    ) async throws -> Answer {
        var proof = proof
        var seen: [Action: Int] = [:]
        var patience = configuration.patience
        while true {
            let credentials = try await credentials()
            let fields = try await prove(request, proof, credentials)
            let (answer, head) = try await send(fields)
            clock.learn(head["date"])
            guard let action = head.action, !action.isTerminal else { return answer }
            seen[action, default: 0] += 1
            guard seen[action, default: 0] <= (action == .backOff ? Self.maxWaits : 1) else {
                return try last(answer, action, head)
            }
            if action == .backOff {
                guard repeatable, head.retryAfter <= patience else { return answer }
                patience -= head.retryAfter
                try await world.clock.sleep(head.retryAfter)
                continue
            }
            do {
                try await follow(action, credentials)
            } catch is Story.EnrolAgainUsedUp, is NothingToAssertWith {
                return answer
            }
            guard repeatable else { throw BonafideError.outcomeUnknown(action) }
            // The route may demand it, and the caller did not know.
            if action == .signAgain || action == .renewWithAssertion { proof = .hardware }
        }
    }

    /// A device without an App Attest key was asked for an assertion: the refusal stays one.
    private struct NothingToAssertWith: Error {}

    private func follow(_ action: Action, _ credentials: Credentials) async throws {
        let refused = credentials.attestation
        switch action {
        case .renewWithAssertion:
            guard credentials.canAssert else { throw NothingToAssertWith() }
            guard configuration.role == .app else { throw BonafideError.appMustRun }
            try await keeper.satisfy(.assertedAfter(credentials.assertedFor))
        case .renew, .retryWithChallenge: try await keeper.satisfy(.otherThan(refused))
        case .enrolAgain: try await keeper.satisfy(.enrolledAfter(refused))
        case .fixClock where clock.isTrusted: try await keeper.satisfy(.otherThan(refused))
        case .fixClock, .signAgain, .backOff, .updateApp, .giveUp: break
        }
    }

    private func last<Answer>(_ answer: Answer, _ action: Action, _ head: AnswerHead) throws -> Answer {
        guard action == .fixClock else { return answer }
        throw BonafideError.clockWrong(by: head["date"].flatMap(HTTPDate.seconds).map { world.clock.wall() - $0 })
    }
}
