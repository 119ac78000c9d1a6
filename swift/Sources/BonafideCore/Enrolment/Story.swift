/// Enrolment and renewal as they go on from wherever they stand (PROTOCOL section 2).
///
/// Rules of this file: each step is stored before the next is taken; every hint is followed at most a bounded number of
/// times; nothing of an answer is believed that a pinned service key did not sign, but for hints.
struct Story {
    let configuration: Configuration
    let world: World
    let clock: TrustedClock
    let courier: Courier
    /// As whom this process holds the right to talk to the service.
    let holder: Ledger.Holder
    var ledger: Ledger

    /// Goes on until the device is enrolled. Throws `BonafideError` and `Ledger.Moved`.
    mutating func enrol() async throws {
        var replacement = Replacement()
        for _ in 0..<Limits.steps {
            switch ledger.record.enrolment {
            case .none: try await makeKey()
            case .keyMade(let key): try await begin(key: key)
            case .attesting(let pending): try await attest(pending, &replacement)
            case .attested(let pending, let evidence): try await present(pending, evidence, &replacement)
            case .enrolled: return
            }
        }
        throw BonafideError.answerRefused("challenge")  // none lasts until it can be used
    }

    /// An answer asked for a new enrolment, and the day's was used up.
    struct EnrolAgainUsedUp: Error {}

    /// Begins anew under the same device keys, because an answer said so: once a day. Throws as `enrol`, and
    /// `EnrolAgainUsedUp`.
    mutating func enrolAgain() async throws {
        let now = clock.now()
        if let last = ledger.record.enrolledAgainAt, Limits.isWithinDay(last, now) { throw EnrolAgainUsedUp() }
        try keep { record in
            record.enrolledAgainAt = now
            record.enrolment = .none
        }
        try await enrol()
    }

    /// Changes the record, and extends this process's right with it.
    mutating func keep(_ change: (inout Record) -> Void) throws {
        let lease = holder.lease(from: world.clock.wall())
        try ledger.change { record in
            change(&record)
            record.lease = lease
        }
    }

    private mutating func makeKey() async throws {
        do {
            let key = try await world.attestor.makeKey()
            try keep { $0.enrolment = .keyMade(key: key) }
        } catch AttestorFailure.unsupported {
            try await goOnWithoutEvidence()
        } catch let failure as AttestorFailure {
            throw BonafideError.attestationFailed(String(describing: failure))
        }
    }

    private mutating func goOnWithoutEvidence() async throws {
        guard configuration.unsupportedDevices == .enrolWithoutEvidence else { throw BonafideError.unsupportedDevice }
        let pending = try await pending(key: nil)
        try keep { $0.enrolment = .attested(pending, .none) }
    }

    private mutating func begin(key: String) async throws {
        let pending = try await pending(key: key)
        try keep { $0.enrolment = .attesting(pending) }
    }

    private func pending(key: String?) async throws -> Enrolment.Pending {
        let challenge = try await courier.challenge("enrol")
        let clientData = ClientData.enrolment(
            challenge: challenge.text, configuration: configuration, sign: ledger.keys.sign.publicKey,
            agree: ledger.keys.agree.publicKey)
        return .init(key: key, clientData: clientData, challenge: challenge.text, ends: challenge.ends)
    }

    private mutating func attest(_ pending: Enrolment.Pending, _ replacement: inout Replacement) async throws {
        guard let key = pending.key else { return try keep { $0.enrolment = .none } }
        guard clock.now() < pending.ends else { return try keep { $0.enrolment = .keyMade(key: key) } }
        try await spendBudget(pending)
        do {
            let hash = world.crypto.sha256(pending.clientData)
            let evidence = try await world.attestor.attest(key, clientDataHash: hash)
            try keep { record in
                record.enrolment = .attested(pending, evidence)
                record.throttlings = 0
                record.notBefore = nil
            }
        } catch AttestorFailure.unavailable {
            throw BonafideError.throttled(retryAfter: try postpone())
        } catch AttestorFailure.invalidKey {
            try replacement.use(orThrow: .attestationFailed("invalidKey"))
            try keep { $0.enrolment = .none }
        } catch AttestorFailure.unsupported {
            try await goOnWithoutEvidence()
        } catch let failure as AttestorFailure {
            // Nobody says whether another key would fare better: it is tried when the waits are at their longest.
            let isHopeless = ledger.record.throttlings >= Limits.unexplainedFailures
            _ = try postpone(dropsKey: isHopeless)
            throw BonafideError.attestationFailed(String(describing: failure))
        }
    }

    /// Refuses where Apple asked for time, or the day's keys are used up; counts a key once, however often Apple is
    /// asked for it.
    private mutating func spendBudget(_ pending: Enrolment.Pending) async throws {
        let now = clock.now()
        if let notBefore = ledger.record.notBefore, now < notBefore, notBefore <= now + Limits.longestThrottle * 2 {
            throw BonafideError.throttled(retryAfter: notBefore - now)
        }
        guard !pending.isCounted else { return }
        let recent = ledger.record.attestations.filter { Limits.isWithinDay($0, now) }
        if recent.count >= Limits.attestationsPerDay, let oldest = recent.min() {
            throw BonafideError.attestationBudgetSpent(retryAfter: oldest + Limits.day - now)
        }
        var counted = pending
        counted.isCounted = true
        try keep { record in
            record.attestations = recent + [now]
            record.enrolment = .attesting(counted)
        }
    }

    /// Keeps key and client data, and says when to ask Apple again: later each time, and not all devices at once.
    /// Returns the wait in seconds.
    private mutating func postpone(dropsKey: Bool = false) throws -> Double {
        let doublings = min(max(ledger.record.throttlings, 0), 16)
        let longest = min(Limits.shortestThrottle * Double(1 << doublings), Limits.longestThrottle)
        let wait = longest * (0.5 + world.crypto.fraction() / 2)
        let until = clock.now() + wait
        try keep { record in
            record.notBefore = until
            record.throttlings += 1
            if dropsKey { record.enrolment = .none }
        }
        return wait
    }

    private mutating func present(
        _ pending: Enrolment.Pending, _ evidence: Evidence, _ replacement: inout Replacement
    ) async throws {
        let isOver = clock.now() >= pending.ends
        let answer = try await courier.post("/instances", ClientData.body(pending.clientData, evidence: evidence))
        if answer.head.status == 201 {
            return try adopt(
                answer, challenge: pending.challenge, key: pending.key, assertedFor: pending.challenge)
        }
        if replacesKey(pending, answer.head, isOver: isOver) {
            // An attested key cannot be attested again, so that other client data mean another key.
            try replacement.use(orThrow: courier.refusal(answer.head))
            return try keep { $0.enrolment = .none }
        }
        throw courier.refusal(answer.head)
    }

    /// Whether evidence that was refused has no future.
    private func replacesKey(_ pending: Enrolment.Pending, _ head: AnswerHead, isOver: Bool) -> Bool {
        switch head.action {
        case .retryWithChallenge, .enrolAgain: true
        // The refusal was of a version that runs no more.
        case .updateApp where !ClientData.isCurrent(pending.clientData, configuration.versions): true
        // That a challenge has ended is for the service to say, since the device's clock may be wrong.
        default: isOver && (400..<500).contains(head.status)
        }
    }

    /// Takes over what the service issued, if its session is by a pinned key and for what was sent.
    mutating func adopt(_ answer: ServiceAnswer, challenge: String, key: String?, assertedFor: String) throws {
        let issued = try Issued(answer)
        if case .enrolled(let before) = ledger.record.enrolment, before.instance != issued.instance {
            throw BonafideError.answerRefused("another instance")
        }
        let session: Session
        do {
            session = try Session.open(
                issued.session, key: ledger.keys.agree,
                expecting: .init(
                    app: configuration.app, instance: issued.instance, jkt: ledger.keys.jkt, challenge: challenge,
                    pins: configuration.serviceKeys),
                crypto: world.crypto)
        } catch let refused as SessionRefused {
            throw BonafideError.answerRefused(refused.rawValue)
        } catch is KeyFailure {
            throw BonafideError.keyUnavailable
        }
        clock.trust(session.issuedAt)
        let shift = clock.shift
        // Nobody signed when to renew: "at once" would be a renewal for each caller, again and again.
        let lifetime = Double(session.expiresAt - session.issuedAt)
        let soonest = min(Limits.soonestRenewal, lifetime / 2)
        let enrolled = Enrolment.Enrolled(
            instance: issued.instance, key: key, attestation: issued.attestation, session: session,
            renewAt: Double(session.issuedAt) + min(max(issued.renewAfter, soonest), lifetime),
            nextChallenge: issued.nextChallenge, assertedFor: assertedFor)
        try keep { record in
            record.enrolment = .enrolled(enrolled)
            record.clockShift = shift
        }
    }
}

/// What bounds the calls that cost Apple, or the user's patience.
enum Limits {
    /// Steps of one enrolment, a replacement of the key and of an ended challenge counted.
    static let steps = 12
    static let day: Double = 86_400
    /// Whether `time` lies less than a day back. A forged `Date` makes nothing of today lie ahead; what lies further
    /// ahead than that comes of a clock that was set back, and would bar the app until then.
    static func isWithinDay(_ time: Double, _ now: Double) -> Bool {
        now - time < day && time - now <= 2 * TrustedClock.maxShift
    }

    /// Keys that are attested within a day, replacements counted.
    static let attestationsPerDay = 4
    /// The first wait after Apple asked for time, in seconds; each later one is twice as long.
    static let shortestThrottle: Double = 15
    static let longestThrottle: Double = 3600
    /// Failures without a known reason after which another key is tried.
    static let unexplainedFailures = 8
    /// Seconds after which an attestation may be renewed, unless it ends soon.
    static let soonestRenewal: Double = 30
    /// No challenge is believed to last longer, in seconds.
    static let longestChallenge = 86_400
}

/// A rejected key is replaced once.
struct Replacement {
    private var isUsed = false

    mutating func use(orThrow error: @autoclosure () -> BonafideError) throws {
        guard !isUsed else { throw error() }
        isUsed = true
    }
}

/// The answer to an enrolment or a renewal, in its form. Nothing in it is proven.
private struct Issued {
    let instance: String
    let attestation: String
    let session: String
    let renewAfter: Double
    let nextChallenge: String

    init(_ answer: ServiceAnswer) throws {
        guard let json = JSONReader.object(answer.body), let instance = json["instance"]?.text,
            Courier.isToken(instance, upTo: 64), let attestation = json["client_attestation"]?.text,
            Courier.isToken(attestation, upTo: 8192, also: "."), let session = json["session"]?.text,
            let renewAfter = json["renew_after"]?.integer, renewAfter >= 0,
            let nextChallenge = json["next_challenge"]?.text, Courier.isToken(nextChallenge, upTo: 128)
        else { throw BonafideError.answerRefused("members") }
        self.instance = instance
        self.attestation = attestation
        self.session = session
        self.renewAfter = Double(renewAfter)
        self.nextChallenge = nextChallenge
    }
}
