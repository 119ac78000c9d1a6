// Compiled and never run: what apps write against the SDK, so that a change of its public surface is seen here first.
// No `@testable`: an app has none either.

import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The three lines of the quick start.
func quickStart(_ url: URL, _ request: URLRequest) async throws -> Data {
    let bonafide = Bonafide(service: url, app: "shop", serviceKeys: ["<thumbprint>", "<spare>"])
    let (data, response) = try await bonafide.data(for: request)
    return response.statusCode == 200 ? data : Data()
}

func everyCall(_ bonafide: Bonafide, _ request: URLRequest, _ file: URL) async throws {
    try await bonafide.prepare()
    var signed = request
    try await bonafide.sign(&signed)
    try await bonafide.sign(&signed, proof: .hardware)
    try await bonafide.sign(&signed, proof: .session, bodyFile: file)
    let answered: (Data, HTTPURLResponse) = try await bonafide.data(for: request, proof: .hardware)
    let uploaded: (Data, HTTPURLResponse) = try await bonafide.upload(for: request, fromFile: file, proof: .session)
    let downloaded: (URL, HTTPURLResponse) = try await bonafide.download(for: request, proof: .session)
    _ = (answered, uploaded, downloaded)
}

func everyOption(_ url: URL, _ attestor: any Attestor) -> Bonafide {
    var options = Bonafide.Options()
    options.identity = "ABCDE12345.com.example.shop"
    options.versions = Configuration.Versions(app: "1.0", system: "18.5", sdk: "0.1.0")
    options.unsupportedDevices = .enrolWithoutEvidence
    options.role = .appExtension
    options.accessGroup = "ABCDE12345.shared"
    options.appGroup = "group.com.example.shop"
    options.origins = [url]
    options.cookies = HTTPCookieStorage.shared
    options.followsRedirects = true
    options.pins = nil
    options.attestor = attestor
    options.configuration = URLSessionConfiguration.ephemeral
    options.patience = 5
    return Bonafide(service: url, app: "shop", serviceKeys: [], options: options)
}

/// A `switch` without `default`: a new case is a change that apps must hear of.
func everyError(_ error: BonafideError) -> String {
    switch error {
    case .unsupportedDevice, .appMustRun, .storageUnavailable, .keyUnavailable, .streamedBody: "no value"
    case .storageFailed(let number): "\(number)"
    case .throttled(let retryAfter), .attestationBudgetSpent(let retryAfter), .busy(let retryAfter): "\(retryAfter)"
    case .attestationFailed(let text), .answerRefused(let text), .transport(let text), .bodyUnreadable(let text): text
    case .targetNotCanonical(let text), .requestNotSignable(let text): text
    case .clockWrong(let seconds): "\(seconds ?? 0)"
    case .refused(let status, let action, let record): "\(status) \(action?.rawValue ?? "") \(record ?? "")"
    case .stopped(let action), .outcomeUnknown(let action): action.rawValue
    case .pinMismatch(let host): host
    }
}

func everyAction(_ action: Action) -> Bool {
    switch action {
    case .retryWithChallenge, .renew, .renewWithAssertion, .signAgain, .enrolAgain, .fixClock, .backOff, .updateApp,
        .giveUp:
        true
    }
}

/// The core, without Apple's frameworks: for clients that bring their own transport.
func core(_ world: World) async throws -> [(name: String, value: String)] {
    let configuration = Configuration(
        service: "https://api.example.com/bonafide/v1", app: "shop", serviceKeys: [],
        identity: "ABCDE12345.com.example.shop", versions: .init(app: "1.0", system: "18.5"),
        unsupportedDevices: .fail, role: .app, run: nil, patience: 20)
    let client = Client(configuration: configuration, world: world)
    let target = try Target(percentEncodedPath: "/api/orders", query: "open=1")
    let head = try RequestHead(
        method: "GET", scheme: "https", authority: "api.example.com", target: target, authorization: "Bearer a",
        cookie: nil, contentType: nil, contentDigest: ContentDigest(of: [], crypto: world.crypto))
    let fields: ProofFields = try await client.prove(head, proof: .session)
    let status: Int = try await client.perform(head, proof: .hardware, repeatable: head.isSafe) { fields in
        (fields.all.count, AnswerHead(status: 200, fields: [:]))
    }
    return status == 0 ? [] : fields.all
}

/// What an app's own unit tests are made of.
func software() -> World {
    World(
        attestor: SoftwareAttestor(apple: FakeApple(), appID: "ABCDE12345.com.example.shop"), crypto: SoftwareCrypto(),
        keys: SoftwareDeviceKeys(), storage: MemoryStorage(), installation: MemoryInstallation(),
        transport: Unstubbed(), clock: ManualClock())
}

#if DEBUG
    /// Debug evidence is named out loud, and is not there in a release build.
    func simulator(_ options: inout Bonafide.Options, secret: [UInt8]) {
        options.attestor = DebugAttestor(app: "shop", name: "simulator", secret: secret)
    }
#endif
