public import BonafideCore
public import Foundation

#if canImport(FoundationNetworking)
    public import FoundationNetworking
#endif

/// One app on one device, whose requests carry their proof.
///
/// ```swift
/// let bonafide = Bonafide(service: url, app: "shop", serviceKeys: ["<thumbprint>", "<spare>"])
/// let (data, response) = try await bonafide.data(for: request)
/// ```
///
/// One for the whole process: two would wait for each other. Nothing is read, made or sent before the first call.
public final class Bonafide: Sendable {
    let courier: URLCourier
    let setting: Setting
    let pins: PinBoard
    let pinsAreAsked = Guarded(false)
    private let known = Guarded<(client: Client, preparation: Preparation)?>(nil)
    private let making = NSLock()

    /// `service` is the URL of the service's endpoints, `app` its name there, `serviceKeys` the thumbprints of the
    /// service's keys: the one in use and a spare.
    public convenience init(service: URL, app: String, serviceKeys: [String], options: Options = Options()) {
        self.init(service: service, app: app, serviceKeys: serviceKeys, options: options, given: nil, session: nil)
    }

    /// For tests and special needs: everything that the SDK needs of the world comes in by `world`. With a `session`,
    /// requests to the API go through it; its own delegate must neither follow redirects nor judge server trust.
    public convenience init(
        service: URL, app: String, serviceKeys: [String], options: Options, world: World, session: URLSession? = nil
    ) {
        self.init(
            service: service, app: app, serviceKeys: serviceKeys, options: options, given: world, session: session)
    }

    private init(
        service: URL, app: String, serviceKeys: [String], options: Options, given world: World?, session: URLSession?
    ) {
        setting = Setting(service: service, app: app, serviceKeys: Set(serviceKeys), options: options, world: world)
        // A document that is refused counts as no pins here, and every call throws why (`client`).
        pins = PinBoard(try? setting.pins(), clock: world?.clock ?? SystemClock())
        courier =
            session.map { [pins] in URLCourier(session: $0, pins: pins) }
            ?? URLCourier(configuration: options.configuration, pins: pins)
    }

    /// Enrols where that has not been done and renews where it is due, ahead of the first request. Throws
    /// `BonafideError`.
    ///
    /// Where pins hold, it also has them refreshed: beside the app, once a day at most.
    public func prepare() async throws {
        let client = try ready().client
        try await client.prepare()
        refreshPinsWhereDue(client)
    }

    /// Signs a request that is sent by other means: a background session, an extension, another HTTP client.
    ///
    /// Afterwards the request must go out as it is, once, within a minute. Its URL is in canonical spelling, its
    /// cookies are on it, and URLSession adds none. `bodyFile` is the file that is going to be uploaded. Throws
    /// `BonafideError`.
    public func sign(
        _ request: inout URLRequest, proof: ProofKind = .session, bodyFile: URL? = nil
    ) async throws {
        let (client, preparation) = try ready()
        let signable = try SignableRequest(request, file: bodyFile, by: preparation)
        request = signable.proven(by: try await client.prove(signable.head, proof: proof))
    }

    /// Made at the first call, as the Keychain can be out of reach when the app starts. Throws `BonafideError`, also
    /// `.requestNotSignable` where an origin is none.
    func ready() throws -> (client: Client, preparation: Preparation) {
        if let known = known.withLock({ $0 }) { return known }
        // Two would take turns. This may ask the Keychain, and the lock of `known` is held across nothing.
        making.lock()
        defer { making.unlock() }
        if let known = known.withLock({ $0 }) { return known }
        guard !courier.isBackground else {
            throw BonafideError.requestNotSignable("a background session takes what sign(_:) has signed")
        }
        let embedded = try setting.pins()
        let options = setting.options
        let origins = options.origins.isEmpty ? [setting.service] : options.origins
        let preparation = Preparation(
            origins: Set(try origins.map { try Origin(of: $0) }), cookies: options.cookies,
            additionalHeaders: courier.additionalHeaders, crypto: setting.crypto)
        let client = Client(configuration: try setting.configuration(), world: setting.world(courier: courier))
        pins.hold(try client.heldPins(embedded: embedded))
        known.withLock { $0 = (client, preparation) }
        return (client, preparation)
    }
}
