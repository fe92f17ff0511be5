import MartletMacroExpansion
import SwiftCompilerPlugin
import SwiftSyntax
import SwiftSyntaxMacros

/// What the compiler starts to expand `@Remote`. It is a part of no program.
@main struct Plugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [RemoteMacro.self]
}

/// Under the name that the compiler asks this module for. What it does is in a library of its own: a test that depends on a
/// macro's target has all of the package built a second time, for the compiler's machine.
enum RemoteMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax,
        providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        try RemoteExpansion.expansion(of: node, providingPeersOf: declaration, in: context)
    }
}
