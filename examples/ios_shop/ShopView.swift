import SwiftUI

struct ShopView: View {
    @EnvironmentObject private var model: ShopModel

    var body: some View {
        List {
            if let profile = model.profile {
                Section("You") {
                    Text(profile.name)
                    Text(profile.email)
                    Text(profile.address)
                }
            }
            if let notice = model.switches.notice { Section { Text(notice) } }
            if model.switches.shopMap == true {
                Section("Shops") {
                    // Give the key to the SDK of whoever draws your maps.
                    if model.mapKey != nil {
                        Text("Here would be the map.")
                    } else {
                        Button("Show the map") { Task { await model.openMap() } }.disabled(model.isBusy)
                    }
                }
            }
            Section("Orders") {
                ForEach(model.orders) { order in
                    Text("\(order.quantity) × \(order.item)")
                }
                Button("Order an abacus") {
                    Task { await model.place(NewOrder(item: "abacus", quantity: 1)) }
                }
                .disabled(model.isBusy)
            }
            MessageSection()
        }
    }
}
