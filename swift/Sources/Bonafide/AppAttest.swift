public import BonafideCore
import DeviceCheck
import Foundation

/// Apple's App Attest, over `DCAppAttestService`.
///
/// Assertions are made one at a time: they carry a counter that has to rise at the service, and made side by side
/// they arrive out of order.
public struct AppAttest: Attestor {
    private let turn = Turnstile()

    public init() {}

    public func makeKey() async throws -> String {
        try await Self.ask(.attestation) { try await DCAppAttestService.shared.generateKey() }
    }

    public func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        let object = try await Self.ask(.attestation) {
            try await DCAppAttestService.shared.attestKey(key, clientDataHash: Data(clientDataHash))
        }
        return .appAttest(key: key, object: [UInt8](object))
    }

    public func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence {
        let object = try await turn.pass {
            try await Self.ask(.assertion) {
                try await DCAppAttestService.shared.generateAssertion(key, clientDataHash: Data(clientDataHash))
            }
        }
        return .appAttestAssertion([UInt8](object))
    }

    enum Phase {
        case attestation, assertion
    }

    private static func ask<Answer: Sendable>(
        _ phase: Phase, _ question: () async throws -> Answer
    ) async throws -> Answer {
        guard DCAppAttestService.shared.isSupported else { throw AttestorFailure.unsupported }
        do {
            return try await question()
        } catch let error as DCError {
            throw failure(of: error, in: phase)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw AttestorFailure.failed(String(describing: error))
        }
    }

    /// What Apple's error asks for.
    ///
    /// Phones answer `invalidInput` for keys that they no longer have (a restore, a migration), and in assertions
    /// `unknownSystemFailure` too; whoever does not make a new key then is locked out for good.
    static func failure(of error: DCError, in phase: Phase) -> AttestorFailure {
        switch error.code {
        case .invalidKey, .invalidInput: .invalidKey
        case .serverUnavailable: .unavailable
        case .featureUnsupported: .unsupported
        default: phase == .assertion ? .invalidKey : .failed("DCError \(error.code.rawValue)")
        }
    }
}
