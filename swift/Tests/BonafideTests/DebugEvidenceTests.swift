#if DEBUG
    import Foundation
    import Testing

    @testable import Bonafide
    @testable import BonafideCore

    private struct StoppedClock: BonafideCore.Clock {
        let seconds: Double
        func wall() -> Double { seconds }
        func steady() -> Double { seconds }
        func sleep(_ seconds: Double) async throws {}
    }

    @Suite struct DebugEvidenceTests {
        private let attestor = DebugAttestor(
            app: "shop", name: "ci-1", secret: Array(0..<16), crypto: PlatformCrypto(),
            clock: StoppedClock(seconds: 1_764_000_000.9))

        /// As `bonafide.evidence.debug.issue_debug_evidence` makes it of the same secret, hash and time.
        @Test func itIsWhatTheServiceExpects() async throws {
            let hash = [UInt8](repeating: 7, count: 32)
            let expected: JSON = [
                "format": "debug", "name": "ci-1", "issued_at": 1_764_000_000,
                "mac": "jZtng8VAcw46zr45-CJSES7JmjmnTn4dQg-fJzUIcSE",
            ]
            #expect(try await attestor.attest("k", clientDataHash: hash).json == expected)
            #expect(try await attestor.assert("k", clientDataHash: hash).json == expected)
        }

        /// Every vector that Python accepts is made octet for octet, and none that is refused for its MAC.
        @Test func everyVectorIsMadeOrIsNot() async throws {
            var made = 0
            var refused = 0
            for (name, vector) in try vectors() {
                guard let input = vector["input"], let evidence = input["evidence"],
                    let secret = input["secrets"]?.elements?.first, let app = input["app"]?.text,
                    let hash = input["client_data_hash"]?.text.flatMap({ Base64.decoded($0) }),
                    let octets = secret["secret"]?.text.flatMap({ Base64.decoded($0) }),
                    let issuedAt = evidence["issued_at"]?.integer
                else { continue }
                let attestor = DebugAttestor(
                    app: app, name: secret["name"]?.text ?? "", secret: octets, crypto: PlatformCrypto(),
                    clock: StoppedClock(seconds: Double(max(issuedAt, 0))))
                let own = try await attestor.attest("k", clientDataHash: hash).json
                switch vector["expect"]?.text {
                case "accept":
                    #expect(own == evidence, "\(name)")
                    made += 1
                case "debug.mac_invalid":
                    #expect(own != evidence, "\(name)")
                    refused += 1
                default: break
                }
            }
            #expect(made == 3)
            #expect(refused == 4)
        }

        private func vectors() throws -> [(String, JSON)] {
            var folder = URL(fileURLWithPath: #filePath)
            for _ in 0..<4 { folder.deleteLastPathComponent() }
            folder.appendPathComponent("vectors/debug")
            return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
                let octets = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
                return (name, try #require(JSON(octets: octets), "\(name)"))
            }
        }
    }
#endif
