import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A software phone with the app on it, which talks to the real service through the SDK as an app has it.
struct Phone: Sendable {
    let service: RunningService
    let attestor: SoftwareAttestor
    let storage: MemoryStorage
    let keys: SoftwareDeviceKeys
    let installation: MemoryInstallation
    let clock: DeviceClock
    let network: Network
    let bonafide: Bonafide
    private let adjust: @Sendable (inout Bonafide.Options) -> Void

    /// A phone on which the app was just installed.
    init(
        _ service: RunningService, environment: SoftwareAttestor.Environment = .production,
        validationCategory: UInt32 = 4, systemVersion: String = "18.5",
        adjust: @escaping @Sendable (inout Bonafide.Options) -> Void = { _ in }
    ) {
        self.init(
            service,
            attestor: SoftwareAttestor(
                apple: service.apple, appID: service.identity, environment: environment, systemVersion: systemVersion,
                validationCategory: validationCategory),
            storage: MemoryStorage(), keys: SoftwareDeviceKeys(), installation: MemoryInstallation(),
            clock: DeviceClock(), adjust: adjust)
    }

    private init(
        _ service: RunningService, attestor: SoftwareAttestor, storage: MemoryStorage, keys: SoftwareDeviceKeys,
        installation: MemoryInstallation, clock: DeviceClock,
        adjust: @escaping @Sendable (inout Bonafide.Options) -> Void
    ) {
        self.service = service
        self.attestor = attestor
        self.storage = storage
        self.keys = keys
        self.installation = installation
        self.clock = clock
        self.adjust = adjust
        network = Network(URLSessionTransport())
        var options = Bonafide.Options()
        options.identity = service.identity
        options.versions = .init(app: "2.3.1", system: "18.5")
        options.cookies = nil
        options.configuration = .ephemeral
        options.configuration.httpMaximumConnectionsPerHost = 16
        adjust(&options)
        let world = World(
            attestor: attestor, crypto: SoftwareCrypto(), keys: keys, storage: storage,
            installation: options.role == .appExtension ? nil : installation, transport: network, clock: clock)
        bonafide = Bonafide(
            service: URL(string: service.service) ?? URL(fileURLWithPath: "/"), app: "shop",
            serviceKeys: Array(service.serviceKeys), options: options, world: world)
    }

    /// The same phone after the app was ended and started again; or its extension, or a second process of it.
    func startedAgain(_ adjust: (@Sendable (inout Bonafide.Options) -> Void)? = nil) -> Phone {
        Phone(
            service, attestor: attestor, storage: storage, keys: keys, installation: installation, clock: clock,
            adjust: adjust ?? self.adjust)
    }

    /// The same phone after a build of another kind was installed over this one: container and Keychain stay, and the
    /// marker tells a debug build from a release build.
    func builtAgain(_ environment: SoftwareAttestor.Environment) -> Phone {
        let attestor = SoftwareAttestor(
            apple: service.apple, appID: service.identity, environment: environment, systemVersion: "18.5")
        return Phone(
            service, attestor: attestor, storage: storage, keys: keys,
            installation: MemoryInstallation("\(installation.current) \(environment)"), clock: clock, adjust: adjust)
    }

    /// The same phone after the app was deleted and installed again: the Keychain stays, App Attest's keys do not.
    func reinstalled() -> Phone {
        attestor.forgetKeys()
        installation.current = UUID().uuidString
        return startedAgain()
    }

    func request(_ path: String, method: String = "GET", bearer: String? = nil) -> URLRequest {
        var request = URLRequest(url: URL(string: service.origin + path) ?? URL(fileURLWithPath: "/"))
        request.httpMethod = method
        if let bearer { request.setValue("Bearer \(bearer)", forHTTPHeaderField: "Authorization") }
        return request
    }

    /// Asks the API, and returns status and body.
    func get(
        _ path: String, bearer: String? = nil, proof: ProofKind = .session, answer: AnswerKind = .clear
    ) async throws -> Answer {
        let (data, response) = try await bonafide.data(
            for: request(path, bearer: bearer), proof: proof, answer: answer)
        return Answer(status: response.statusCode, body: JSON(octets: [UInt8](data)), response: response)
    }

    /// Logs in, with a hardware proof as the route demands, and returns the bearer.
    func logIn(as user: String = "ada") async throws -> String {
        var request = request("/api/login", method: "POST")
        let body: JSON = ["username": .string(user), "password": .string(service.users[user] ?? "")]
        request.httpBody = Data(body.octets)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let (data, response) = try await bonafide.data(for: request, proof: .hardware)
        guard response.statusCode == 200, let token = JSON(octets: [UInt8](data))?["token"]?.text else {
            throw RunningService.Failure(description: "login: \(response.statusCode)")
        }
        return token
    }

    struct Answer: Sendable {
        let status: Int
        let body: JSON?
        let response: HTTPURLResponse
    }
}

/// Runs `count` of the same at once, and returns the outcomes.
func atOnce<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) async throws -> Value
) async -> [Result<Value, any Error>] {
    await withTaskGroup(of: Result<Value, any Error>.self) { group in
        for index in 0..<count {
            group.addTask {
                do {
                    return .success(try await body(index))
                } catch {
                    return .failure(error)
                }
            }
        }
        return await group.reduce(into: []) { $0.append($1) }
    }
}
