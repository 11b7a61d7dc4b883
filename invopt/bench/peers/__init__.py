"""Methods of other libraries, on residuals or from packages of their own.

DFO-LS and Py-BOBYQA are under the GNU General Public License. Nothing here contains their code; their packages are
imported when a run with one of them begins.
"""
