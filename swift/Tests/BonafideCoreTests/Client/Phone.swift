import BonafideTestSupport
import Testing

@testable import BonafideCore

/// A device with the app on it, and the service that it talks to. Copies are the same device.
struct Phone: Sendable {
    static let app = "shop"
    static let identity = "TEAMID1234.com.example.shop"

    let clock: ManualClock
    let attestor: SoftwareAttestor
    let keys = SoftwareDeviceKeys()
    let storage = MemoryStorage()
    let installation = MemoryInstallation()
    let service: SimulatedService
    var configuration: Configuration

    init(sleeping: ManualClock.Sleeping = .advancesTime) {
        let clock = ManualClock(sleeping: sleeping)
        self.clock = clock
        attestor = SoftwareAttestor(appID: Self.identity, appleTime: { clock.wall() })
        service = SimulatedService(app: Self.app, clock: clock)
        configuration = Configuration(
            service: "https://api.example.com/bonafide/v1", app: Self.app,
            serviceKeys: [service.issuer.thumbprint, "spare"], identity: Self.identity,
            versions: .init(app: "1.0", system: "27.0"))
    }

    var world: World {
        World(
            attestor: attestor, crypto: SoftwareCrypto(), keys: keys, storage: storage, installation: installation,
            transport: service, clock: clock)
    }

    /// A start of the app.
    func start(_ change: (inout Configuration, inout World) -> Void = { _, _ in }) -> Client {
        var configuration = configuration
        var world = world
        change(&configuration, &world)
        return Client(configuration: configuration, world: world)
    }

    /// An extension that shares the app's storage.
    func startExtension() -> Client {
        start { configuration, world in
            configuration.role = .appExtension
            world.installation = nil
        }
    }

    /// A start of an app that is enrolled already.
    func enrolled() async throws -> Client {
        let client = start()
        try await client.prepare()
        return client
    }

    var record: Record? { storage.record.flatMap(Record.init) }

    /// The word under which the state is stored.
    var state: String {
        guard let record else { return "nothing" }
        return switch record.enrolment {
        case .none: "none"
        case .keyMade: "keyMade"
        case .attesting: "attesting"
        case .attested: "attested"
        case .enrolled: "enrolled"
        }
    }

    var enrolment: Enrolment.Enrolled? {
        guard case .enrolled(let enrolled) = record?.enrolment else { return nil }
        return enrolled
    }
}

extension Phone {
    static let head: RequestHead = {
        let crypto = SoftwareCrypto()
        guard let target = Target(canonical: "/api/config"),
            let head = try? RequestHead(
                method: "GET", scheme: "https", authority: "api.example.com", target: target,
                contentDigest: ContentDigest(of: [], crypto: crypto))
        else { preconditionFailure("a request that cannot be signed") }
        return head
    }()
}

extension Client {
    /// Proves the plain request.
    @discardableResult func prove(_ proof: ProofKind = .session) async throws -> ProofFields {
        try await prove(Phone.head, proof: proof)
    }
}

extension ProofFields {
    /// The time that the proof was stamped with.
    var created: Int? { parameter("created").flatMap { Int($0) } }
    /// Under which key.
    var keyID: String? { parameter("keyid") }
    var isHardware: Bool { signatureInput.contains("ecdsa-p256-sha256") }

    private func parameter(_ name: String) -> String? {
        let found = signatureInput.split(separator: ";").first { $0.hasPrefix("\(name)=") }
        return found.map { $0.dropFirst(name.count + 1).filter { $0 != "\"" } }
    }
}

/// The error that `body` throws; nil where it throws none, or one of another kind.
func failure(_ body: () async throws -> Void) async -> BonafideError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? BonafideError
    }
}

/// An API that answers as it is told, and remembers what it was sent.
actor ScriptedAPI {
    private var heads: [AnswerHead]
    private(set) var sent: [ProofFields] = []

    /// Answers with these in turn, the last of them again and again.
    init(_ heads: AnswerHead...) { self.heads = heads }

    func answer(_ fields: ProofFields) -> (Int, AnswerHead) {
        sent.append(fields)
        let head = heads.count > 1 ? heads.removeFirst() : heads[0]
        return (head.status, head)
    }
}

extension AnswerHead {
    static let good = AnswerHead(status: 200, fields: [:])

    /// A refusal with a hint, and more fields.
    static func refusing(_ action: Action, _ fields: [String: String] = [:]) -> AnswerHead {
        AnswerHead(status: 401, fields: fields.merging(["Bonafide-Action": action.rawValue]) { $1 })
    }
}

extension Client {
    /// Performs the plain request at an API, and returns the status of the last answer.
    func perform(at api: ScriptedAPI, proof: ProofKind = .session, repeatable: Bool = true) async throws -> Int {
        try await perform(Phone.head, proof: proof, repeatable: repeatable) { await api.answer($0) }
    }
}

/// Lets others run until `condition` holds; gives up after a while, so that what follows fails.
func until(_ condition: () async -> Bool) async {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if await condition() { return }
        await Task.yield()
    }
}
