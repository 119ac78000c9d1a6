import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

@testable import ShopSample

/// The sample app's requests against the API that they are written for.
@Suite(.serialized, .enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct SampleAppTests {
    @Test func theShopIsUsedAsTheSampleUsesIt() async throws {
        let service = try RunningService()
        let origin = try #require(URL(string: service.origin))
        let shop = ShopAPI(bonafide: Phone(service).bonafide, origin: origin)
        #expect(try await shop.config().currency == "EUR")
        await #expect(throws: ShopError.notLoggedIn) { try await shop.logIn(name: "ada", password: "wrong") }
        let login = try await shop.logIn(name: "ada", password: service.users["ada"] ?? "")
        #expect(try await shop.profile(login.token).name == "ada")
        let before = try await shop.orders(login.token).count
        let order = try await shop.place(NewOrder(item: "abacus", quantity: 1), login.token)
        #expect(order.item == "abacus")
        #expect(try await shop.orders(login.token).count == before + 1)
        await #expect(throws: ShopError.notLoggedIn) { try await shop.profile("nonsense") }
        let thief = ShopAPI(bonafide: Phone(service).bonafide, origin: origin)
        let error = await #expect(throws: ShopError.self) { try await thief.profile(login.token) }
        guard case .notAdmitted(let action, _) = error else { return #expect(error == nil) }
        #expect(action == "give_up")
    }
}
