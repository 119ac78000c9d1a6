#if DEBUG
    public import BonafideCore

    /// Debug evidence, for simulators and CI: a named secret vouches for the client data, and for nothing else.
    ///
    /// It is given by hand as `Options.attestor`, and does not exist in release builds. The service marks everything
    /// that it leads to `debug`, and one in production takes none.
    public struct DebugAttestor: Attestor {
        private static let label = Array("bonafide debug evidence\u{0}".utf8)

        private let app: String
        private let name: String
        private let secret: [UInt8]
        private let crypto: any Crypto
        private let clock: any BonafideCore.Clock

        /// `app` and `name` are those under which the service knows `secret`.
        public init(app: String, name: String, secret: [UInt8]) {
            self.init(app: app, name: name, secret: secret, crypto: PlatformCrypto(), clock: SystemClock())
        }

        init(app: String, name: String, secret: [UInt8], crypto: any Crypto, clock: any BonafideCore.Clock) {
            self.app = app
            self.name = name
            self.secret = secret
            self.crypto = crypto
            self.clock = clock
        }

        public func makeKey() async throws -> String { "debug" }

        public func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
            evidence(clientDataHash)
        }

        public func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
            evidence(clientDataHash)
        }

        /// Fields of fixed length, the only one of free length last.
        private func evidence(_ clientDataHash: [UInt8]) -> Evidence {
            let issuedAt = Int(clock.wall())
            let message =
                Self.label + crypto.sha256(Array(app.utf8)) + crypto.sha256(Array(name.utf8))
                + withUnsafeBytes(of: UInt64(issuedAt).bigEndian, Array.init) + clientDataHash
            let mac = Base64.urlEncoded(crypto.hmacSHA256(key: secret, message))
            return Evidence(json: [
                "format": "debug", "name": .string(name), "issued_at": .integer(issuedAt),
                "mac": .string(mac),
            ])
        }
    }
#endif
