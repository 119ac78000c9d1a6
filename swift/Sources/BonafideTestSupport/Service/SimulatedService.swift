public import BonafideCore

/// Bonafide's service in memory, for unit tests of apps: challenges, enrolment and renewal (PROTOCOL section 2),
/// secrets, configuration and pins (section 5).
///
/// It takes a message only with a proof by the device's key `sign`, a challenge of its own and the right app; evidence
/// it takes unread. What is to go wrong is said ahead for each endpoint. Its time is that of the given clock when it
/// was made, and runs by the steady one: setting the device's clock does not set the service's.
public final class SimulatedService: Transport {
    /// Where a message goes.
    public enum Endpoint: Hashable, Sendable, CaseIterable {
        case challenge
        case instances
        case renewals
        case secrets
        case configuration
        case pins
    }

    /// What befalls a message.
    public enum Mishap: Sendable {
        /// It does not arrive: `send` throws `ServiceIsDown`.
        case down
        /// It is processed, and `send` throws `ServiceIsDown`.
        case answerLost
        /// It is refused, unread.
        case refused(Refusal)
        /// It is processed, and what comes back is what this makes of the answer.
        case forged(@Sendable (ServiceAnswer) -> ServiceAnswer)

        /// It is processed, and in the answer's object these members are put in the place of others.
        public static func forged(members: [String: JSON]) -> Mishap {
            .forged { answer in
                guard case .object(let all) = JSON(octets: answer.body) else { return answer }
                let kept = all.filter { members[$0.name] == nil } + members.map { JSON.Member($0.key, $0.value) }
                return ServiceAnswer(head: answer.head, body: JSON.object(kept).octets)
            }
        }
    }

    /// A refusal as the service, or a proxy before it, writes one.
    public struct Refusal: Hashable, Sendable {
        public var status: Int
        public var action: String?
        public var retryAfter: String?
        /// The answer's Date; nil: the service's time.
        public var date: String?

        public init(status: Int = 401, action: Action? = nil, retryAfter: String? = nil, date: String? = nil) {
            self.status = status
            self.action = action?.rawValue
            self.retryAfter = retryAfter
            self.date = date
        }
    }

    private struct State {
        var book: ServiceBook
        var skew: Double = 0
        var next: [Endpoint: [Mishap]] = [:]
        var always: [Endpoint: Mishap] = [:]
        var counts: [Endpoint: Int] = [:]
        var closed: Set<Endpoint> = []
        var held: [Endpoint: [CheckedContinuation<Void, Never>]] = [:]
        var watchers: [Endpoint: [CheckedContinuation<Void, Never>]] = [:]
    }

    /// Signs sessions; its thumbprint goes into `Configuration.serviceKeys`.
    public let issuer: SessionIssuer
    private let clock: any Clock
    private let began: (wall: Double, steady: Double)
    private let state: Guarded<State>

    /// `lifetime` is that of client attestations, at most 3600 seconds; they are to be renewed after four fifths of it.
    public init(app: String, clock: any Clock, issuer: SessionIssuer = SessionIssuer(), lifetime: Int = 300) {
        self.issuer = issuer
        self.clock = clock
        began = (clock.wall(), clock.steady())
        state = Guarded(State(book: ServiceBook(app: app, issuer: issuer, lifetime: lifetime)))
    }

    public func send(_ message: ServiceMessage) async throws -> ServiceAnswer {
        guard let (endpoint, instance) = Self.address(message.url) else {
            return ServiceAnswer(head: AnswerHead(status: 404, fields: [:]), body: [])
        }
        state.withLock { $0.counts[endpoint, default: 0] += 1 }
        await pass(endpoint)
        let (mishap, answer) = state.withLock { state -> (Mishap?, ServiceAnswer?) in
            let mishap = state.next[endpoint]?.isEmpty == false ? state.next[endpoint]?.removeFirst() : nil
            let now = time + state.skew
            switch mishap ?? state.always[endpoint] {
            case .down: return (.down, nil)
            case .refused(let refusal): return (nil, ServiceBook.answer(refusal, now: now))
            case let other: return (other, state.book.answer(message, endpoint, instance: instance, now: now))
            }
        }
        switch (mishap, answer) {
        case (.forged(let forge), let answer?): return forge(answer)
        case (nil, let answer?): return answer
        default: throw ServiceIsDown()
        }
    }

    private var time: Double { began.wall + clock.steady() - began.steady }

    private static func address(_ url: String) -> (Endpoint, instance: String)? {
        let parts = url.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.last == "challenge" { return (.challenge, "") }
        if parts.last == "instances" { return (.instances, "") }
        if parts.last == "secrets" { return (.secrets, "") }
        if parts.last == "configuration" { return (.configuration, "") }
        if parts.last == "pins" { return (.pins, "") }
        guard parts.count > 3, parts.last == "renewals", parts[parts.count - 3] == "instances" else { return nil }
        return (.renewals, parts[parts.count - 2])
    }

    /// Waits while the endpoint is closed.
    private func pass(_ endpoint: Endpoint) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let resumed: [CheckedContinuation<Void, Never>] = state.withLock { state in
                guard state.closed.contains(endpoint) else { return [continuation] }
                state.held[endpoint, default: []].append(continuation)
                defer { state.watchers[endpoint] = nil }
                return state.watchers[endpoint] ?? []
            }
            for continuation in resumed { continuation.resume() }
        }
    }
}

/// What `SimulatedService` throws in the network's place.
public struct ServiceIsDown: Error, Hashable, Sendable {
    public init() {}
}

extension SimulatedService {
    /// What befalls the next messages to an endpoint, one each, after those that were said before.
    public func next(_ endpoint: Endpoint, _ mishaps: Mishap...) {
        state.withLock { $0.next[endpoint, default: []] += mishaps }
    }

    /// What befalls every message to an endpoint for which `next` says nothing; nil: nothing.
    public func always(_ endpoint: Endpoint, _ mishap: Mishap?) {
        state.withLock { $0.always[endpoint] = mishap }
    }

    /// Has the messages to an endpoint wait until `release`, also those of tasks that are cancelled.
    public func hold(_ endpoint: Endpoint) { state.withLock { _ = $0.closed.insert(endpoint) } }

    /// Lets the messages go on that wait, and those that come.
    public func release(_ endpoint: Endpoint) {
        let held = state.withLock { state in
            state.closed.remove(endpoint)
            return state.held.removeValue(forKey: endpoint) ?? []
        }
        for continuation in held { continuation.resume() }
    }

    /// Returns once a message waits at an endpoint that `hold` closed.
    public func untilHeld(_ endpoint: Endpoint) async {
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.held[endpoint]?.isEmpty == false { return true }
                state.watchers[endpoint, default: []].append(continuation)
                return false
            }
            if isHeld { continuation.resume() }
        }
    }

    /// How many messages went to an endpoint, whatever befell them.
    public func count(_ endpoint: Endpoint) -> Int { state.withLock { $0.counts[endpoint] ?? 0 } }

    /// The session with this `sid`, in base64url.
    func session(named sid: String) -> SessionClaims? { state.withLock { $0.book.sessions[sid] } }

    /// How many messages there were in all.
    public var messages: Int { state.withLock { $0.counts.values.reduce(0, +) } }

    /// The instances that are known, oldest first.
    public var instances: [String] { state.withLock { $0.book.instances.map(\.name) } }

    /// Loses all instances, as a service does whose store was emptied. Renewals are refused with `enrol_again`.
    public func forget() { state.withLock { $0.book.instances = [] } }

    /// Wants an assertion with the next renewal of every instance.
    public func demandAssertions() { state.withLock { $0.book.demandAssertions() } }

    /// Sets the secrets of every instance, as a new version.
    public func setSecrets(_ secrets: [String: String]) { state.withLock { $0.book.documents.set(secrets: secrets) } }

    /// Sets the two parts of the configuration, as a new version; each is an object.
    public func setConfiguration(shared: JSON, sealed: JSON) {
        state.withLock { $0.book.documents.set(shared: shared, sealed: sealed) }
    }

    /// Publishes pins, as a new version that lasts so many seconds: for each host two or more SHA-256 of public keys
    /// (SubjectPublicKeyInfo), in base64. Before the first time, who asks is refused with 404.
    public func publishPins(_ pins: [String: [String]], lasting seconds: Double = 7_776_000) {
        state.withLock { $0.book.documents.publish(pins: pins, until: time + $0.skew + seconds) }
    }

    /// The pin document that was published last, as it is signed for every install: what an app carries in
    /// `Options.pins`. Nil before the first time.
    public var pinDocument: String? {
        state.withLock { state in
            state.book.documents.pinClaims(app: state.book.app).flatMap {
                try? issuer.sign($0.octets, type: "bonafide-pins+jwt")
            }
        }
    }

    /// By how much the service's clock is ahead, in seconds.
    public var skew: Double {
        get { state.withLock { $0.skew } }
        set { state.withLock { $0.skew = newValue } }
    }

    /// The age at which the last assertion, or the attestation, is too old for a renewal without one; in seconds.
    public var reattestAfter: Double {
        get { state.withLock { $0.book.reattestAfter } }
        set { state.withLock { $0.book.reattestAfter = newValue } }
    }

    /// The lifetime of client attestations from now on, in seconds.
    public var lifetime: Int {
        get { state.withLock { $0.book.lifetime } }
        set { state.withLock { $0.book.lifetime = newValue } }
    }
}
