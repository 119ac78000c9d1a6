// What a proof costs the app: medians of interleaved rounds, process CPU time, transport excluded. Prints a table, writes
// `build/bench/swift.json`, and exits with 1 where a promise is broken.
import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Glibc

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

let rounds = 9
let calls = 2000

/// One thing that is measured: `calls` of it in each round.
struct Contender {
    let name: String
    let run: () async throws -> Void
}

/// Microseconds of CPU of the whole process since it began.
func processMicroseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

/// Runs each contender once in each round, and returns the median cost of one call by its name.
func interleave(_ contenders: [Contender]) async throws -> [String: Double] {
    var costs: [String: [Double]] = [:]
    for contender in contenders { for _ in 0..<100 { try await contender.run() } }
    for _ in 0..<rounds {
        for contender in contenders {
            let begun = processMicroseconds()
            for _ in 0..<calls { try await contender.run() }
            costs[contender.name, default: []].append((processMicroseconds() - begun) / Double(calls))
        }
    }
    return costs.mapValues { $0.sorted()[rounds / 2] }
}

// A phone that is enrolled, with a service in memory: from here on nothing is sent.
let clock = SystemClock()
let issuer = SessionIssuer()
let service = SimulatedService(app: "shop", clock: clock, issuer: issuer, lifetime: 3600)
let keys = SoftwareDeviceKeys()
let world = World(
    attestor: SoftwareAttestor(appID: "ABCDE12345.com.example.shop"), crypto: SoftwareCrypto(), keys: keys,
    storage: MemoryStorage(), installation: MemoryInstallation(), transport: service, clock: clock)
let configuration = Configuration(
    service: "https://api.example.com/bonafide/v1", app: "shop", serviceKeys: [issuer.thumbprint],
    identity: "ABCDE12345.com.example.shop", versions: .init(app: "1.0", system: "18.5"))
let client = Client(configuration: configuration, world: world)
try await client.prepare()

let options: Bonafide.Options = {
    var options = Bonafide.Options()
    options.identity = configuration.identity
    options.cookies = nil
    return options
}()
let address = URL(string: configuration.service) ?? URL(fileURLWithPath: "/")
let bonafide = Bonafide(
    service: address, app: "shop", serviceKeys: [issuer.thumbprint], options: options, world: world)
let urlRequest: URLRequest = {
    var request = URLRequest(url: URL(string: "https://api.example.com/api/orders?open=1&page=2") ?? address)
    request.httpMethod = "POST"
    request.httpBody = Data(#"{"article":7,"count":1}"#.utf8)
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.setValue("Bearer 0123456789abcdef0123456789abcdef", forHTTPHeaderField: "Authorization")
    return request
}()

let body = Array(#"{"article":7,"count":1}"#.utf8)
func prove(_ kind: ProofKind) async throws {
    let head = try RequestHead(
        method: "POST", scheme: "https", authority: "api.example.com",
        target: Target(percentEncodedPath: "/api/orders", query: "open=1&page=2"),
        authorization: "Bearer 0123456789abcdef0123456789abcdef", contentType: "application/json",
        contentDigest: ContentDigest(of: body, crypto: world.crypto))
    _ = try await client.prove(head, proof: kind)
}
func sign(_ kind: ProofKind) async throws {
    var request = urlRequest
    try await bonafide.sign(&request, proof: kind)
}

let raw = "raw P-256 signature"
let rawKey = SoftwareSigningKey()
let base = [UInt8](repeating: 0x61, count: 1024)
try await bonafide.prepare()
let sent = service.messages
let costs = try await interleave([
    Contender(name: raw) { _ = try rawKey.signature(of: base) },
    Contender(name: "hardware proof, core") { try await prove(.hardware) },
    Contender(name: "session proof, core") { try await prove(.session) },
    Contender(name: "hardware proof, URLRequest") { try await sign(.hardware) },
    Contender(name: "session proof, URLRequest") { try await sign(.session) },
])
guard service.messages == sent else { preconditionFailure("a fresh attestation made a network call") }

/// A row of the table: what is promised is a number of microseconds, above the raw signature or in all.
struct Row {
    let name: String
    let above: Double
    let atMost: Double?
}
let signature = costs[raw] ?? 0
let rows = [
    Row(name: raw, above: 0, atMost: nil),
    Row(name: "hardware proof, core", above: signature, atMost: 60),
    Row(name: "session proof, core", above: 0, atMost: 60),
    // With what Foundation takes to copy a request and to look at each character of a field: its Linux half does both.
    Row(name: "hardware proof, URLRequest", above: signature, atMost: nil),
    Row(name: "session proof, URLRequest", above: 0, atMost: nil),
]
var kept = true
var entries: [JSON] = []
print("\nswift (\(rounds) interleaved rounds of \(calls) calls, process CPU, medians)")
for row in rows {
    let cost = costs[row.name] ?? 0
    let own = cost - row.above
    let holds = row.atMost.map { own <= $0 } ?? true
    kept = kept && holds
    let promise = row.atMost.map { "  (at most \(Int($0)): \(holds ? "holds" : "BROKEN"))" } ?? ""
    let over = row.above == 0 ? "" : String(format: ", %.2f us above the raw signature", own)
    print(
        "  " + row.name.padding(toLength: 28, withPad: " ", startingAt: 0) + String(format: "%8.2f us", cost) + over
            + promise)
    entries.append([
        "name": .string(row.name), "us_per_op": .number((cost * 1000).rounded() / 1000), "versus": .string(raw),
        "ratio": .number((cost / signature * 10000).rounded() / 10000),
    ])
}
try FileManager.default.createDirectory(atPath: "build/bench", withIntermediateDirectories: true)
try Data(JSON.array(entries).octets).write(to: URL(fileURLWithPath: "build/bench/swift.json"))
exit(kept ? 0 : 1)
