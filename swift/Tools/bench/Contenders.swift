import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Glibc

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

let rounds = 51
let raw = "raw P-256 signature"

/// One thing that is measured: `calls` of it in each round.
struct Contender: Sendable {
    let name: String
    var calls = 400
    let run: @Sendable () async throws -> Void
}

/// A phone that is enrolled, with a service in memory, and what is signed with it.
struct Phone: Sendable {
    let service: SimulatedService
    let client: Client
    let bonafide: Bonafide
    private let crypto = SoftwareCrypto()
    private let rawKey = SoftwareSigningKey()
    private let base = [UInt8](repeating: 0x61, count: 1024)
    private let body = Array(#"{"article":7,"count":1}"#.utf8)
    private let bearer = "Bearer 0123456789abcdef0123456789abcdef"

    init() {
        let clock = SystemClock()
        let issuer = SessionIssuer()
        service = SimulatedService(app: "shop", clock: clock, issuer: issuer, lifetime: 3600)
        let world = World(
            attestor: SoftwareAttestor(appID: "ABCDE12345.com.example.shop"), crypto: crypto,
            keys: SoftwareDeviceKeys(), storage: MemoryStorage(), installation: MemoryInstallation(),
            transport: service, clock: clock)
        let configuration = Configuration(
            service: "https://api.example.com/bonafide/v1", app: "shop", serviceKeys: [issuer.thumbprint],
            identity: "ABCDE12345.com.example.shop", versions: .init(app: "1.0", system: "18.5"))
        client = Client(configuration: configuration, world: world)
        var options = Bonafide.Options()
        options.identity = configuration.identity
        options.cookies = nil
        bonafide = Bonafide(
            service: Self.url(configuration.service), app: "shop", serviceKeys: [issuer.thumbprint], options: options,
            world: world)
    }

    var contenders: [Contender] {
        [
            Contender(name: raw) { _ = try rawKey.signature(of: base) },
            Contender(name: "hardware proof, core") { try await prove(.hardware) },
            Contender(name: "session proof, core") { try await prove(.session) },
            Contender(name: "hardware proof, URLRequest") { try await sign(.hardware) },
            Contender(name: "session proof, URLRequest") { try await sign(.session) },
        ]
    }

    private func prove(_ kind: ProofKind) async throws {
        let head = try RequestHead(
            method: "POST", scheme: "https", authority: "api.example.com",
            target: Target(percentEncodedPath: "/api/orders", query: "open=1&page=2"), authorization: bearer,
            contentType: "application/json", contentDigest: ContentDigest(of: body, crypto: crypto))
        _ = try await client.prove(head, proof: kind)
    }

    private func sign(_ kind: ProofKind) async throws {
        var request = URLRequest(url: Self.address)
        request.httpMethod = "POST"
        request.httpBody = Self.data
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(bearer, forHTTPHeaderField: "Authorization")
        try await bonafide.sign(&request, proof: kind)
    }

    private static let address = url("https://api.example.com/api/orders?open=1&page=2")
    private static let data = Data(#"{"article":7,"count":1}"#.utf8)

    private static func url(_ text: String) -> URL { URL(string: text) ?? URL(fileURLWithPath: "/") }
}

/// Microseconds of CPU of the whole process since it began.
private func processMicroseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

/// The middle one.
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// Runs each contender once in each round, and returns the costs of one call by its name, round by round.
///
/// On no actor: to hop from the main one to the pool and back costs as much as a signature, in whatever is measured.
func interleave(_ contenders: [Contender]) async throws -> [String: [Double]] {
    var costs: [String: [Double]] = [:]
    for contender in contenders { for _ in 0..<min(100, contender.calls) { try await contender.run() } }
    for _ in 0..<rounds {
        for contender in contenders {
            let begun = processMicroseconds()
            for _ in 0..<contender.calls { try await contender.run() }
            costs[contender.name, default: []].append((processMicroseconds() - begun) / Double(contender.calls))
        }
    }
    return costs
}
