import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A route that wants evidence of the last half minute, at the real service: after that the app gives it again.
@Suite(.enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct StepUpTests {
    @Test func evidenceThatBecameTooOldIsGivenAgainAndTheRequestRepeated() async throws {
        let service = try RunningService("--lifetime", "30")
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        try await Task.sleep(nanoseconds: 32_000_000_000)
        // The attestation has ended. A renewal by the key alone leaves the evidence as old as it is.
        #expect(try await phone.get("/api/config").status == 200)
        #expect(phone.attestor.assertCalls == 0)
        _ = try service.reasons()
        #expect(try await move(phone, bearer) == 200)
        #expect(phone.attestor.assertCalls == 1)
        #expect(try service.reasons() == ["route.not_fresh"])
        #expect(try await move(phone, bearer) == 200)
        #expect(phone.attestor.assertCalls == 1)
        #expect(phone.attestor.attestCalls == 1)
        #expect(try service.instances().map { $0["counter"] } == [1])
        // By the session's key it is refused once, whatever the evidence: the SDK signs again by hardware.
        #expect(try await move(phone, bearer, proof: .session) == 200)
        #expect(try service.reasons() == ["route.proof_kind_too_weak"])
    }

    /// Changes the customer's address, as who wants it repeated where that is of use; returns the status.
    private func move(_ phone: Phone, _ bearer: String, proof: ProofKind = .hardware) async throws -> Int {
        var request = phone.request("/api/me/address", method: "PUT", bearer: bearer)
        request.httpBody = Data((["address": "Quai 1"] as JSON).octets)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(UUID().uuidString, forHTTPHeaderField: "Idempotency-Key")
        return try await phone.bonafide.data(for: request, proof: proof).1.statusCode
    }
}
