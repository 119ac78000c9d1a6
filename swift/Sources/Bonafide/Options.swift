public import BonafideCore

#if canImport(FoundationNetworking)
    public import Foundation
    public import FoundationNetworking
#else
    public import Foundation
#endif

extension Bonafide {
    /// What an app may say beyond the three lines. Everything has a default that fits most.
    public struct Options: Sendable {
        /// The App ID: team id, a dot, bundle id. Nil: read from the Keychain and the bundle.
        public var identity: String?
        /// Nil: the app's and the system's own.
        public var versions: Configuration.Versions?
        /// What a device without App Attest does.
        public var unsupportedDevices: Configuration.UnsupportedDevices = .fail
        /// Nil: an extension where the bundle is one (`.appex`), else the app.
        public var role: Configuration.Role?
        /// The Keychain group that the app shares with its extensions; nil: the app's first.
        public var accessGroup: String?
        /// The app group in whose container the marker of this install is kept; nil: the app's Application Support.
        public var appGroup: String?
        /// The API's origins, to which requests are signed; empty: that of the service alone. Paths are ignored.
        public var origins: [URL] = []
        /// Where cookies are taken from and kept. URLSession itself neither adds nor keeps any: one that came after
        /// the signature would not be covered. Nil: no cookies but those that a request brings.
        public var cookies: HTTPCookieStorage? = .shared
        /// Whether a redirect on the same origin is followed, signed anew. A proxy that the phone trusts can write one
        /// too, and then has a proof of a request whose path and query are its own: leave this off where the API
        /// answers without redirects. Off, or to elsewhere, a redirect is returned as it is.
        public var followsRedirects = false
        /// A signed pin document, as the service issued it for this app; nil: no pins.
        public var pins: String?
        /// Takes the place of App Attest: `DebugAttestor` in debug builds.
        public var attestor: (any Attestor)?
        /// Timeouts, proxies and the like of the session through which everything goes. None for background sessions,
        /// which take requests that `sign` has signed.
        public var configuration: URLSessionConfiguration = .default
        /// The longest wait, in seconds, that a request bears when the service asks for patience.
        public var patience: Double = 20

        public init() {}
    }
}

extension Configuration.Versions {
    /// The versions that bundle and system tell.
    static var current: Configuration.Versions {
        let app = Bundle.main.infoDictionary?["CFBundleShortVersionString"] as? String
        let system = ProcessInfo.processInfo.operatingSystemVersion
        return .init(
            app: admitted(app ?? "0"),
            system: "\(system.majorVersion).\(system.minorVersion).\(system.patchVersion)")
    }

    /// A version as the service reads it: 1 to 32 of letters, digits and `.+_-`.
    static func admitted(_ version: String) -> String {
        let characters = version.filter { $0.isASCII && ($0.isLetter || $0.isNumber || ".+_-".contains($0)) }
        return characters.isEmpty ? "0" : String(characters.prefix(32))
    }
}

extension Configuration.Role {
    /// What the bundle says that this process is.
    static var current: Configuration.Role {
        Bundle.main.bundlePath.hasSuffix(".appex") ? .appExtension : .app
    }
}
