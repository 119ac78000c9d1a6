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
    }
#endif
