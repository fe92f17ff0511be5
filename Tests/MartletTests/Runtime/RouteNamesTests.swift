import MartletWire
import Testing

@testable import Martlet

@Suite struct RouteNamesTests {
    private func address(_ components: UInt32...) throws -> ContextAddress {
        try #require(ContextAddress(components))
    }

    private func names(_ addresses: [ContextAddress], limit: Int) -> RouteNames {
        var names = RouteNames(limit: limit)
        for address in addresses { names.note(Route().appending("\(address)"), of: address) }
        return names
    }

    @Test func `What is gone keeps its name until enough others are`() throws {
        let places = try (1...5).map { try address($0) }
        var names = names(places, limit: 2)
        for place in places.prefix(3) { names.retire(below: place) }
        #expect(names[places[0]] == nil)
        #expect(names[places[1]]?.steps == ["/2"] && names[places[2]] != nil && names[places[4]] != nil)
        #expect(names.count == 4)
    }

    @Test func `A context takes all below it along, also what no name leads to`() throws {
        let (top, deep, other) = try (address(1), address(1, 2, 3), address(10))
        var names = names([top, deep, other], limit: 1)
        names.retire(below: top)
        #expect(names.count == 2 && names[other] != nil)
        // What nobody ever named has no name to keep.
        names.retire(below: try address(77))
        #expect(names.count == 2)
    }

    @Test func `What is gone is counted once`() throws {
        let (parent, below, early) = try (address(1), address(1, 1), address(2))
        var names = names([parent, below, early], limit: 3)
        names.retire(below: early)
        names.retire(below: below)
        names.retire(below: below)
        names.note(Route().appending("again"), of: below)
        names.retire(below: parent)
        #expect(names[early] != nil && names[below] != nil && names[parent] != nil && names.count == 3)
    }

    @Test func `Nothing stays of contexts that come and go`() throws {
        var names = RouteNames(limit: 8)
        let relay = try address(1)
        for number in 1...UInt32(20_000) {
            let place = try #require(relay.child(number)?.child(1))
            names.note(Route().appending("\(number)"), of: place)
            names.retire(below: place)
        }
        #expect(names.count == 8 && names.isEmptyBelow)
    }
}
