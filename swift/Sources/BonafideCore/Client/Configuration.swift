/// What the app says of itself, and what it leaves to policy.
public struct Configuration: Sendable {
    /// The URL of the service's endpoints, without a final slash: `https://api.example.com/bonafide/v1`.
    public var service: String
    /// The app's name at the service.
    public var app: String
    /// The thumbprints of the service's keys: the one in use, and a spare that is kept offline.
    public var serviceKeys: Set<String>
    /// The App ID: team id, a dot, bundle id.
    public var identity: String
    /// The app's version, that of the system, and that of this SDK.
    public var versions: Versions
    /// What a device without App Attest does.
    public var unsupportedDevices: UnsupportedDevices
    /// Whether this process may use App Attest.
    public var role: Role
    /// Names this run of the app, where the app never runs as two processes at once (on iOS): a right to talk to the
    /// service that an earlier run holds is then known to be dead. Nil for an extension, and on a Mac.
    public var run: String?
    /// The longest wait, in seconds, that a request bears when the service asks for patience.
    public var patience: Double

    public init(
        service: String, app: String, serviceKeys: Set<String>, identity: String, versions: Versions,
        unsupportedDevices: UnsupportedDevices = .fail, role: Role = .app, run: String? = nil,
        patience: Double = 20
    ) {
        self.service = service
        self.app = app
        self.serviceKeys = serviceKeys
        self.identity = identity
        self.versions = versions
        self.unsupportedDevices = unsupportedDevices
        self.role = role
        self.run = run
        self.patience = patience
    }

    /// Versions as the service reads them: 1 to 32 of letters, digits and `.+_-`.
    public struct Versions: Sendable {
        public var app: String
        public var system: String
        public var sdk: String

        public init(app: String, system: String, sdk: String = "0.1.0") {
            self.app = app
            self.system = system
            self.sdk = sdk
        }
    }

    /// What a device without App Attest does. Nothing passes silently: the service admits such devices only where its
    /// policy and the route say so.
    public enum UnsupportedDevices: Sendable {
        /// Every request throws `BonafideError.unsupportedDevice`.
        case fail
        /// Enrols without evidence, at tier `none`: requests are signed, counted and limited.
        case enrolWithoutEvidence
    }

    /// What kind of process this is.
    public enum Role: Sendable {
        /// The app itself: enrols, asserts, renews.
        case app
        /// An extension that shares the app's Keychain group: renews by the `sign` key, and never enrols or asserts.
        case appExtension
    }
}

/// Everything that the core needs of the world.
public struct World: Sendable {
    public var attestor: any Attestor
    public var crypto: any Crypto
    public var keys: any DeviceKeys
    public var storage: any SecureStorage
    /// Nil in an extension, which cannot tell a fresh install.
    public var installation: (any Installation)?
    public var transport: any Transport
    public var clock: any Clock

    public init(
        attestor: any Attestor, crypto: any Crypto, keys: any DeviceKeys, storage: any SecureStorage,
        installation: (any Installation)?, transport: any Transport, clock: any Clock
    ) {
        self.attestor = attestor
        self.crypto = crypto
        self.keys = keys
        self.storage = storage
        self.installation = installation
        self.transport = transport
        self.clock = clock
    }
}
