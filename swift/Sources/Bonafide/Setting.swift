import BonafideCore
import Foundation

/// What a `Bonafide` was made with, and what follows from it.
struct Setting: Sendable {
    let service: URL
    let app: String
    let serviceKeys: Set<String>
    let options: Bonafide.Options
    /// In place of this device's.
    let world: World?

    var crypto: any Crypto { world?.crypto ?? PlatformCrypto() }

    private var role: Configuration.Role { options.role ?? .current }

    /// What the core is told. Throws `BonafideError`.
    func configuration() throws -> Configuration {
        Configuration(
            service: try serviceText(), app: app, serviceKeys: serviceKeys, identity: try identity(),
            versions: options.versions ?? .current, unsupportedDevices: options.unsupportedDevices, role: role,
            run: role == .app ? Self.run : nil, patience: options.patience)
    }

    /// Names this run of the app where there is one at a time; a Mac app can be opened twice.
    private static let run: String? = {
        #if os(iOS) && !targetEnvironment(macCatalyst)
            return UUID().uuidString
        #else
            return nil
        #endif
    }()

    /// The world that was given, or this device.
    func world(courier: URLCourier) -> World {
        if var world {
            if let attestor = options.attestor { world.attestor = attestor }
            return world
        }
        // One spelling, or an app and its extension that differ in a slash would have a record each.
        let address = (try? serviceText()) ?? service.absoluteString
        return World(
            attestor: options.attestor ?? AppAttest(), crypto: PlatformCrypto(), keys: EnclaveKeys(),
            storage: KeychainStorage(service: address, app: app, accessGroup: options.accessGroup),
            installation: role == .app ? InstallationMarker(appGroup: options.appGroup) : nil,
            transport: URLSessionTransport(courier: courier), clock: SystemClock())
    }

    /// The pins of the document that was given; nil without one. Throws `BonafideError.answerRefused`.
    func pins() throws -> PinDocument? {
        do {
            return try options.pins.map { try PinDocument($0, pins: serviceKeys, app: app, crypto: crypto) }
        } catch let refused as DocumentRefused {
            throw BonafideError.answerRefused(refused.rawValue)
        }
    }

    /// The service's URL in canonical spelling, without a final slash.
    private func serviceText() throws -> String {
        let text = try CanonicalURL(service).url.absoluteString
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    private func identity() throws -> String {
        if let identity = options.identity { return identity }
        do {
            if let bundle = Bundle.main.bundleIdentifier, let prefix = try KeychainStorage.appIDPrefix() {
                return "\(prefix).\(bundle)"
            }
        } catch StorageFailure.unavailable {
            throw BonafideError.storageUnavailable
        } catch StorageFailure.failed(let status) {
            throw BonafideError.storageFailed(status)
        }
        throw BonafideError.requestNotSignable("no App ID is known: set Options.identity")
    }
}
