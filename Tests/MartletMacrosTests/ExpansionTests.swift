import MartletMacroExpansion
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacrosGenericTestSupport
import Testing

/// What `@Remote` writes.
@Suite struct ExpansionTests {
    static let macros = ["Remote": MacroSpec(type: RemoteExpansion.self)]

    private func expect(_ source: String, becomes expanded: String, sourceLocation: SourceLocation = #_sourceLocation) {
        assertMacroExpansion(source, expandedSource: expanded, macroSpecs: Self.macros) { failure in
            Issue.record("\(failure.message)", sourceLocation: sourceLocation)
        }
    }

    @Test func `A function gets a task and an overload each for contexts and groups`() {
        expect(
            """
            /// The kernels in a folder.
            @Remote
            @available(macOS 15, *)
            public func kernels(in folder: String = "/boot", _ limit: Int) throws(DiskError) -> [String] {
                []
            }
            """,
            becomes: """
                /// The kernels in a folder.
                @available(macOS 15, *)
                public func kernels(in folder: String = "/boot", _ limit: Int) throws(DiskError) -> [String] {
                    []
                }

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

    @Test func `Names that could hide others are told apart, and the context is passed`() {
        expect(
            """
            extension Tools.Box {
                @Remote(overload: 2) static func run(in _: RemoteContext, context: Int, deadline: Int) async {
                }
            }
            """,
            becomes: """
                extension Tools.Box {
                    static func run(in _: RemoteContext, context: Int, deadline: Int) async {
                    }

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
                }
                """)
    }
}
