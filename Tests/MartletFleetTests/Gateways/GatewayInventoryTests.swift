import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletFleet

@Suite(.leakChecked) struct GatewayInventoryTests {
    static let json = """
        {"via": "edge", "spec": "ssh:{host}", "variables": {"site": 7},
         "groups": {
           "rack": {"hosts": ["node[1-4]"], "via": ["gw[1-2]", "@spares"], "spec": "ssh:root@{host}"},
           "spares": {"hosts": ["spare1"]},
           "odd": {"hosts": ["node4"], "via": ["ssh:jump@10.0.0.{site}", "gw1"], "priority": 1}},
         "hosts": {
           "edge": {"via": [], "spec": "ssh:me@edge.example"}, "gw1": {}, "gw2": {"spec": "local"},
           "node3": {"via": []}, "lone": {}}}
        """

    private func inventory(_ json: String) throws -> Inventory {
        try JSONDecoder().decode(Inventory.self, from: Data(json.utf8))
    }

    @Test func `Hosts come with the gateways that count for them, and those with theirs`() throws {
        let inventory = try inventory(Self.json)
        try inventory.check()
        let nodes = try inventory.select("@rack lone other")
        #expect(
            nodes.map { $0.gateways?.map(\.name) } == [
                ["gw1", "gw2", "spare1"], ["gw1", "gw2", "spare1"], [], ["ssh:jump@10.0.0.7", "gw1"], ["edge"],
                ["edge"],
            ])
        let gateways = try #require(nodes[0].gateways)
        #expect(gateways.map(\.spec) == ["ssh:gw1", "local", "ssh:spare1"])
        #expect(gateways.map { $0.gateways?.map(\.spec) } == Array(repeating: ["ssh:me@edge.example"], count: 3))
        #expect(gateways[0].gateways?[0].gateways == [])
        // A spec that stands there itself begins here.
        #expect(nodes[3].gateways?[0].gateways == [])
        let member = try nodes[0].member()
        #expect(member.gateways?.map(\.name) == ["gw1", "gw2", "spare1"])
        #expect(member.gateways?[1].gateways?.map(\.name) == ["edge"])
        #expect(try JSONDecoder().decode(Inventory.self, from: JSONEncoder().encode(inventory)) == inventory)
        #expect(try Inventory().select("x")[0].member().gateways == nil)
    }

    @Test(arguments: [
        (#"{"via": "gw", "hosts": {"gw": {}}}"#, "via: a gateway cannot be before itself: gw via gw"),
        (
            #"{"hosts": {"a": {"via": "b"}, "b": {"via": ["c"]}, "c": {"via": ["x", "a"]}}}"#,
            "hosts.c.via: a gateway cannot be before itself: a via b via c via a"
        ),
        (
            #"{"groups": {"g": {"hosts": ["a", "b"], "via": "@g"}}}"#,
            "groups.g.via: a gateway cannot be before itself: a via a"
        ),
        (#"{"hosts": {"a": {"via": "@nothing"}}}"#, "hosts.a.via: there is no group"),
        (#"{"hosts": {"a": {"via": "gw[3-1]"}}}"#, "hosts.a.via: "),
        (#"{"hosts": {"a": {"via": "gw{site}"}}}"#, "hosts.a: the spec gw{site}: there is no variable {site}"),
        (#"{"hosts": {"a": {"via": "local?nce=5"}}}"#, "hosts.a: "),
    ])
    func `What cannot be is named with its place and its path`(_ json: String, _ words: String) throws {
        let inventory = try inventory(json)
        let error = try #require(throws: InventoryError.self) { try inventory.check() }
        #expect("\(error)".hasPrefix(words), "\(error)")
    }

    @Test func `What is no list of texts is named`() throws {
        let error = try #require(throws: DecodingError.self) { try inventory(#"{"hosts": {"a": {"via": 3}}}"#) }
        #expect("\(InventoryError(error))" == "hosts.a.via: this should be a text, or a list of texts")
    }

    @Test func `A group of an inventory's hosts goes through their gateways`() async throws {
        let inventory = try inventory(
            """
            {"spec": "local", "groups": {"web": {"hosts": ["web[1-6]"], "via": "gw[1-2]"},
             "gates": {"hosts": ["gw[1-2]"]}}, "hosts": {"web6": {"via": []}}}
            """)
        try await withMartlet(OutputLog().options) { martlet in
            let group = try martlet.group(try inventory.select("@web @gates"))
            try await group.closing { group in
                let contexts = try await group.connect().get()
                #expect(contexts.map(\.depth) == [2, 2, 2, 2, 2, 1, 1, 1])
                #expect(Set(contexts.prefix(5).map(\.firstChild)).count == 2)
            }
        }
    }
}
