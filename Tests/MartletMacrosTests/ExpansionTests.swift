import MartletTestKit
import Testing

/// What `@Remote` writes.
@Suite(.leakChecked) struct ExpansionTests {
    @Test func `A function gets a task and an overload each for contexts and groups`() async throws {
        let expansion = try await MacroCompiler.expansion(
            of: """
                public struct DiskError: Error, Codable {}
                /// The kernels in a folder.
                @Remote
                @available(macOS 15, *)
                public func kernels(in folder: String = "/boot", _ limit: Int) throws(DiskError) -> [String] {
                    []
                }
                """)
        #expect(
            expansion == """
                /// Calls `kernels` in the context that it is sent to.
                @available(macOS 15, *)
                public struct Remote_kernels: Martlet.RemoteTask {
                    var _0: String
                    var _1: Int
                    public init(in folder: String = "/boot", _ limit: Int) {
                        self._0 = folder
                        self._1 = limit
                    }
                    public func run(in _context: Martlet.RemoteContext) async throws(DiskError) -> [String] {
                        try kernels(in: _0, _1)
                    }
                }

                /// The kernels in a folder.
                ///
                /// Runs in `context`: a copy of this program there calls it.
                @available(macOS 15, *)
                public nonisolated(nonsending) func kernels(on context: Martlet.Context, in folder: String = "/boot", _ limit: Int, deadline: Swift.Duration? = nil) async throws -> [String] {
                    try await context.call(Remote_kernels(in: folder, limit), deadline: deadline)
                }

                /// The kernels in a folder.
                ///
                /// Runs in every member of `group`, and gives what came of each.
                @available(macOS 15, *)
                public nonisolated(nonsending) func kernels(on group: MartletFleet.Group, in folder: String = "/boot", _ limit: Int, deadline: Swift.Duration? = nil) async throws -> MartletFleet.GroupResults<[String]> {
                    try await group.call(Remote_kernels(in: folder, limit), timeout: deadline)
                }
                """)
    }

    @Test func `Names that could hide others are told apart, and the context is passed`() async throws {
        let expansion = try await MacroCompiler.expansion(
            of: """
                import Martlet
                enum Tools { enum Box {} }
                extension Tools.Box {
                    @Remote(overload: 2) static func run(in _: RemoteContext, context: Int, deadline: Int) async {
                    }
                }
                """)
        #expect(
            expansion == """
                /// Calls `run` in the context that it is sent to.
                struct Remote2_run: Martlet.RemoteTask {
                    var _0: Int
                    var _1: Int
                    init(context: Int, deadline: Int) {
                        self._0 = context
                        self._1 = deadline
                    }
                    func run(in _context: Martlet.RemoteContext) async {
                        await Tools.Box.run(in: _context, context: _0, deadline: _1)
                    }
                }

                /// Runs in `context`: a copy of this program there calls it.
                nonisolated(nonsending) static func run(on _context: Martlet.Context, context: Int, deadline: Int) async throws {
                    try await _context.call(Remote2_run(context: context, deadline: deadline))
                }

                /// Runs in every member of `group`, and gives what came of each.
                nonisolated(nonsending) static func run(on group: MartletFleet.Group, context: Int, deadline: Int) async throws -> MartletFleet.GroupResults<Void> {
                    try await group.call(Remote2_run(context: context, deadline: deadline))
                }
                """)
    }
}
