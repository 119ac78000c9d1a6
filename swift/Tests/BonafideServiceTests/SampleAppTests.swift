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

    @Test func theShopTakesItsSwitchesAndItsKeyFromTheService() async throws {
        let service = try RunningService()
        let phone = Phone(service)
        let shop = ShopAPI(bonafide: phone.bonafide, origin: try #require(URL(string: service.origin)))
        let keys = ShopKeys(bonafide: phone.bonafide)
        #expect(try await shop.switches().shopMap == nil)
        #expect(try await keys.map() == nil)
        try service.tell("set_value", ["kind": "public", "name": "shop_map", "value": "true"])
        try service.tell("set_value", ["kind": "secret", "name": "maps.api_key", "value": #""m""#])
        #expect(try await shop.switches().shopMap == true)
        #expect(try await ShopKeys(bonafide: phone.bonafide).map() == "m")
        let asked = phone.network.sent.filter { $0 == "secrets" }.count
        #expect(try await keys.map() == nil, "what was given holds until it ends")
        #expect(phone.network.sent.filter { $0 == "secrets" }.count == asked)
    }
}
