import SwiftCompilerPlugin
import SwiftSyntaxMacros

/// What the compiler starts to expand `@Remote`. It is a part of no program.
@main struct Plugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [RemoteMacro.self]
}
