import Glibc
import Martlet
import MartletPython
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletFleet

extension Group {
    /// The gateway that a member is behind.
    func gateway(_ place: Int) -> GroupHost {
        let gateways = entries[place].host.gateways!
        return gateways.set.gateway(of: gateways.member)
    }

    /// The gateways of a member, in the order in which they are named.
    func gateways(_ place: Int = 0) -> [GroupHost] { entries[place].host.gateways!.set.gateways }

    /// The bytes that have gone over this process's links to the members so far, each link's once.
    func bytesSent() -> Int {
        let links = Dictionary(
            entries.compactMap { $0.host.native.current }.map { ($0.firstChild, $0.linkTraffic.sent) }
        ) { $1 }
        return Int(links.values.reduce(0, +))
    }
}

extension Context {
    /// How many links lead to it.
    var depth: Int { route.steps.count }
}

extension GroupHost {
    /// The process of its context.
    var processID: Int32? { native.current?.facts.processID }
}

/// Local gateways, told apart by their names.
func localGateways(_ count: Int, behind gateways: [MemberSpec] = []) throws -> [MemberSpec] {
    try (1...count).map { number in
        var gateway = try MemberSpec("local", name: "gw\(number)")
        gateway.gateways = gateways
        return gateway
    }
}

/// Runs `body` with a group of local members, `web1` and so on, behind gateways.
func withGroup(
    _ count: Int, behind gateways: [MemberSpec], _ options: MartletOptions = OutputLog().options,
    _ body: @Sendable (Group) async throws -> Void
) async throws {
    try await withMartlet(options) { martlet in
        let group = try martlet.group(count, behind: gateways)
        try await group.closing { group in try await body(group) }
    }
}

extension Controller {
    func group(_ count: Int, behind gateways: [MemberSpec]) throws -> MartletFleet.Group {
        var options = GroupOptions()
        options.gateways = gateways
        return try group((1...max(1, count)).map { try MemberSpec("local", name: "web\($0)") }, options: options)
    }
}

/// Leaves a mark each time that it is run.
struct Tally: RemoteTask {
    var path: String
    func run(in context: RemoteContext) async throws {
        let file = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(file) }
        write(file, "x", 1)
    }
}
